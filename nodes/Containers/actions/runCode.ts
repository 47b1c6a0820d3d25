/** Run Python: the incoming items and files into a container, what the code gives back out of it. */
import { NodeOperationError } from 'n8n-workflow';
import type { IDataObject, IExecuteFunctions, INodeExecutionData, IPairedItemData } from 'n8n-workflow';
import {
  addToContainer,
  fromBuffer,
  outgoing,
  parseInputFiles,
  uploadToContainer,
} from '../../shared/binary';
import { faultOf } from '../../shared/fault';
import { baseName } from '../../shared/mime';
import { distinctNames } from '../../shared/names';
import type { Operation } from '../../shared/operation';
import { downloadFiles, fileOutputOf } from '../../shared/output';
import { noticesOf, runStep, type StepResult } from '../../shared/runCode';
import {
  containerChoice,
  isToolCall,
  keepFiles,
  openContainer,
  type Place,
  removeContainer,
} from '../../shared/session';
import { runCodeFields } from './runCodeFields';
import { isContainerNeeded, type RunOptions, type Shape, type Shown, toItems } from './runCodeItems';

interface RunCode extends Operation {
  /** Handles all items in one run. */
  executeAll(context: IExecuteFunctions): Promise<INodeExecutionData[]>;
}

/** Whether the code runs once for all items. Agents ask for one thing at a time. */
export const runsOnce = (context: IExecuteFunctions): boolean =>
  context.getNodeParameter('operation', 0) === 'runCode' &&
  context.getNodeParameter('mode', 0, 'all') === 'all' &&
  !isToolCall(context);

async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
  return await run(context, [itemIndex], { item: itemIndex });
}

async function executeAll(context: IExecuteFunctions): Promise<INodeExecutionData[]> {
  const indexes = context.getInputData().map((_, index) => index);
  return await run(
    context,
    indexes,
    indexes.map((item) => ({ item })),
  );
}

async function run(
  context: IExecuteFunctions,
  indexes: number[],
  pairedItem: IPairedItemData | IPairedItemData[],
): Promise<INodeExecutionData[]> {
  const at = indexes[0] ?? 0;
  const options = context.getNodeParameter('options', at, {}) as RunOptions;
  const code = context.getNodeParameter('code', at) as string;
  if (code.trim() === '') {
    throw new NodeOperationError(context.getNode(), `'Python Code' is empty${itemWord(pairedItem)}`, {
      description: 'Enter the code to run.',
      itemIndex: at,
    });
  }
  const place = await openContainer(context, containerChoice(context, at), options);
  const shape: Shape = {
    returns: context.getNodeParameter('returns', at, 'automatic') as Shown,
    options,
    output: fileOutputOf(context, at),
    pairedItem,
  };
  let isNeeded = false;
  try {
    const step = await runIn(context, place, { indexes, code, shape });
    const downloaded = await downloadFiles(context, step.files, shape.output);
    if (place.isTemporary && shape.output.linkHours !== undefined && step.files.length > 0)
      keepFiles(place.containerId);
    isNeeded = isContainerNeeded(step, downloaded, shape);
    return toItems(context, step, downloaded, { ...shape, isKept: isNeeded || !place.isNew });
  } finally {
    if (place.isNew && !isNeeded) await removeContainer(context, place.containerId);
  }
}

interface Work {
  indexes: number[];
  code: string;
  shape: Shape;
}

async function runIn(
  context: IExecuteFunctions,
  { containerId }: Place,
  { indexes, code, shape: { returns, options, pairedItem } }: Work,
): Promise<StepResult> {
  const files = await putInputFiles(context, containerId, indexes);
  const step = await runStep(context, {
    containerId,
    code,
    returns: returns === 'printed' || returns === 'details' ? 'none' : returns,
    timeoutMs: options.timeout === undefined ? undefined : options.timeout * 1000,
    ...namesFor(
      code,
      indexes.map((index) => context.getInputData()[index]?.json ?? {}),
      files,
    ),
    store: async (content, name) => await uploadToContainer(context, containerId, fromBuffer(content, name)),
  });
  const isStopped = (options.onCodeError ?? (isToolCall(context) ? 'continue' : 'stop')) === 'stop';
  const fault = isStopped ? faultOf(step.execution) : undefined;
  if (fault)
    throw new NodeOperationError(context.getNode(), `${fault.message}${itemWord(pairedItem)}`, {
      description: fault.description,
      itemIndex: indexes[0],
    });
  showNotices(context, step, leftOut(context, indexes));
  return step;
}

/** Where the code runs for each item, a message names the item. */
const itemWord = (pairedItem: Shape['pairedItem']): string =>
  Array.isArray(pairedItem) ? '' : ` [item ${pairedItem.item}]`;

/** Only what the code speaks of: it costs nothing else, and the variables of a session stay as they are. */
export function namesFor(
  code: string,
  items: IDataObject[],
  files: IDataObject[],
): { inputs: Record<string, unknown>; dataframes?: Record<string, string> } {
  const uses = (name: string): boolean =>
    new RegExp(`(?<![\\p{ID_Continue}])${name}(?![\\p{ID_Continue}])`, 'u').test(code);
  return {
    inputs: {
      ...(uses('items') || uses('df') ? { items } : {}),
      ...(uses('item') ? { item: items.length === 1 ? items[0] : null } : {}),
      ...(uses('files') ? { files } : {}),
    },
    ...(uses('df') ? { dataframes: { df: 'items' } } : {}),
  };
}

/** Beside the output in the panel: a cut text or a number that became text is not to be found out by mail. */
function showNotices(context: IExecuteFunctions, { execution }: StepResult, more: readonly string[]): void {
  const hints = [...noticesOf(execution).map(({ message }) => message), ...more].map((message) => ({
    message,
    location: 'outputPane' as const,
  }));
  if (hints.length > 0) context.addExecutionHints?.(...hints);
}

const inputFilesOf = (context: IExecuteFunctions, index: number) =>
  parseInputFiles(
    context.getNodeParameter('inputFiles', index, ''),
    context.getInputData()[index]?.binary as unknown as IDataObject | undefined,
  );

/** Files that came in and that the code did not get. */
function leftOut(context: IExecuteFunctions, indexes: number[]): string[] {
  const names = new Set<string>();
  for (const index of indexes) {
    const { properties } = inputFilesOf(context, index);
    for (const [property, { fileName }] of Object.entries(context.getInputData()[index]?.binary ?? {}))
      if (!properties.includes(property)) names.add(fileName ? `${property} (${fileName})` : property);
  }
  if (names.size === 0) return [];
  const some = [...names].slice(0, 3).join(', ');
  const more = names.size > 3 ? ` and ${names.size - 3} more` : '';
  return [
    `Incoming files that the code did not get: ${some}${more}. Enter * in 'Input Files' to pass on all.`,
  ];
}

/** Puts the chosen files into the container and tells the code where they are. */
async function putInputFiles(
  context: IExecuteFunctions,
  containerId: string,
  indexes: number[],
): Promise<IDataObject[]> {
  const chosen = indexes.map((index) => ({ index, ...inputFilesOf(context, index) }));
  const found = await Promise.all(
    chosen.flatMap(({ index, properties }) =>
      properties.map(async (property) => ({
        index,
        property,
        ...(await outgoing(context, index, property)),
      })),
    ),
  );
  const files: IDataObject[] = [];
  for (const { index, property, ...file } of distinctNames(found)) {
    const { path } = await uploadToContainer(context, containerId, file);
    files.push({ item: index, field: property, name: file.fileName, path });
  }
  for (const { index, fileIds } of chosen) {
    for (const id of fileIds) {
      const { path } = await addToContainer(context, containerId, id);
      files.push({ item: index, field: null, name: baseName(path), path });
    }
  }
  return files.sort((a, b) => Number(a.item) - Number(b.item));
}

export const runCode: RunCode = { description: runCodeFields, execute, executeAll };
