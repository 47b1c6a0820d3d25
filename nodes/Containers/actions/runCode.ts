import { NodeOperationError } from 'n8n-workflow';
import type { IDataObject, IExecuteFunctions, INodeExecutionData, IPairedItemData } from 'n8n-workflow';
import {
  addToContainer,
  fromBuffer,
  outgoing,
  parseInputFiles,
  uploadToContainer,
} from '../../shared/binary';
import {
  containerFields,
  fileOutputFields,
  idleOption,
  inputFilesField,
  memoryOption,
  outputFieldOption,
  showFor,
  splitFilesOption,
} from '../../shared/descriptions';
import { baseName } from '../../shared/mime';
import type { Operation } from '../../shared/operation';
import {
  downloadFiles,
  type Downloaded,
  type FileOutput,
  fileOutputOf,
  withBinaries,
} from '../../shared/output';
import type { Returns } from '../../shared/python';
import { describeStep, rowsOf, runStep, type StepResult, succeeded } from '../../shared/runCode';
import { containerChoice, isToolCall, resolveContainer } from '../../shared/session';

const show = showFor('container', 'runCode');
/** Links from output to input items that n8n stores with an execution. */
const MAX_PAIRS = 10_000;

/** Short lines, because the panel is narrow; runs on any items, also on the empty one of a trigger. */
const EXAMPLE = `# items: a list of dicts
# df: the same as a pandas DataFrame
import matplotlib.pyplot as plt

numbers = df.select_dtypes("number")
if not numbers.empty:
    numbers.plot()
    plt.show()

result = items
`;

interface Options extends IDataObject {
  addContainerId?: boolean;
  idleMinutes?: number;
  memory?: string;
  onCodeError?: 'continue' | 'stop';
  timeout?: number;
}

async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
  return await run(context, itemIndex, [itemIndex], { item: itemIndex });
}

/** Once for all items unless the mode says otherwise. Agents ask for one thing at a time. */
async function executeAll(context: IExecuteFunctions): Promise<INodeExecutionData[] | undefined> {
  if (isToolCall(context) || context.getNodeParameter('mode', 0, 'all') !== 'all') return undefined;
  const indexes = context.getInputData().map((_, index) => index);
  return await run(
    context,
    0,
    indexes,
    indexes.map((item) => ({ item })),
  );
}

async function run(
  context: IExecuteFunctions,
  at: number,
  indexes: number[],
  pairedItem: IPairedItemData | IPairedItemData[],
): Promise<INodeExecutionData[]> {
  const options = context.getNodeParameter('options', at, {}) as Options;
  const returns = context.getNodeParameter('returns', at, 'automatic') as Returns;
  const code = context.getNodeParameter('code', at) as string;
  if (code.trim() === '') {
    throw new NodeOperationError(context.getNode(), `'Python Code' is empty [item ${at}]`, {
      description: 'Enter the code to run.',
      itemIndex: at,
    });
  }
  const containerId = await resolveContainer(context, containerChoice(context, at), options);
  const files = await putInputFiles(context, containerId, indexes);
  const items = indexes.map((index) => context.getInputData()[index]?.json ?? {});
  const step = await runStep(context, {
    containerId,
    code,
    returns,
    timeoutMs: options.timeout === undefined ? undefined : options.timeout * 1000,
    variables: { items, files, ...(indexes.length === 1 ? { item: items[0] } : { item: null }) },
    upload: async (content, name) =>
      (await uploadToContainer(context, containerId, fromBuffer(content, name))).path,
  });
  if (!succeeded(step) && options.onCodeError === 'stop') throw stopped(context, step, at);
  const output = fileOutputOf(context, at);
  const downloaded = await downloadFiles(context, step.files, output);
  return toItems(context, step, { returns, options, output, downloaded, pairedItem });
}

interface Shape {
  returns: Returns;
  options: Options;
  output: FileOutput;
  downloaded: Downloaded;
  pairedItem: IPairedItemData | IPairedItemData[];
}

function toItems(
  context: IExecuteFunctions,
  step: StepResult,
  { returns, options, output, downloaded, pairedItem }: Shape,
): INodeExecutionData[] {
  const details = { ...describeStep(step), files: downloaded.files };
  // An exception is told in full; and an agent wants to see what was printed beside the result.
  if (step.returned === undefined || !succeeded(step) || returns === 'details' || isToolCall(context)) {
    return withBinaries([details], downloaded, output, pairedItem);
  }
  const rows = rowsOf(step.returned.value).map((row) =>
    options.addContainerId === true ? { ...row, container_id: step.execution.container_id } : row,
  );
  const isOneToOne = Array.isArray(pairedItem) && pairedItem.length === rows.length;
  // Charts need an item to hang on, also when the result is an empty list.
  if (rows.length === 0 && Object.keys(downloaded.binary).length > 0) {
    return withBinaries([details], downloaded, output, pairedItem);
  }
  // A few rows of many items stem from all of them; many rows of many items would name too many pairs.
  const isLong = Array.isArray(pairedItem) && pairedItem.length * rows.length > MAX_PAIRS;
  const items = withBinaries(rows, downloaded, output, isLong ? { item: 0 } : pairedItem);
  return isOneToOne && !output.split
    ? items.map((item, index) => ({ ...item, pairedItem: pairedItem[index] }))
    : items;
}

/** How code may end other than by its last line or an exception, and what helps. */
const ENDINGS: Readonly<Record<string, [message: string, description: string]>> = {
  timed_out: [
    'The code was stopped by its time limit',
    "Raise 'Timeout (Seconds)' in the options, or work on less data at a time.",
  ],
  out_of_memory: [
    'The code needed more memory than the container has',
    "Choose more 'Memory' in the options, or read large files in pieces. A container that is there keeps its size.",
  ],
  kernel_died: ['Python ended unexpectedly', 'Files are kept, variables are lost. Run the steps again.'],
  interrupted: ['The code was interrupted', 'It was cancelled, or its container was deleted.'],
  failed: ['The code could not be run', 'The log of the server says why. Try again.'],
};

function stopped(context: IExecuteFunctions, step: StepResult, itemIndex: number): NodeOperationError {
  const { error, status } = step.execution;
  const [message, cure] =
    status === 'completed' && error !== null
      ? [`${error.name}: ${error.value}`, error.traceback]
      : (ENDINGS[status] ?? [`The code ended as ${status}`, '']);
  const notices = (describeStep(step).notices as string[] | undefined) ?? [];
  return new NodeOperationError(context.getNode(), `${message} [item ${itemIndex}]`, {
    description: [cure, ...notices].join(' ').trim(),
    itemIndex,
  });
}

/** Puts the chosen files into the container and tells the code where they are. */
async function putInputFiles(
  context: IExecuteFunctions,
  containerId: string,
  indexes: number[],
): Promise<IDataObject[]> {
  const files: IDataObject[] = [];
  for (const index of indexes) {
    const value = context.getNodeParameter('inputFiles', index, '');
    const binary = context.getInputData()[index]?.binary as unknown as IDataObject | undefined;
    const { properties, fileIds } = parseInputFiles(value, binary);
    for (const property of properties) {
      const file = await outgoing(context, index, property);
      const { path } = await uploadToContainer(context, containerId, file);
      files.push({ item: index, field: property, name: file.fileName, path });
    }
    for (const id of fileIds) {
      const { path } = await addToContainer(context, containerId, id);
      files.push({ item: index, field: null, name: baseName(path), path });
    }
  }
  return files;
}

export const runCode: Operation = {
  description: [
    {
      displayName: 'Python Code',
      name: 'code',
      type: 'string',
      typeOptions: { editor: 'codeNodeEditor', editorLanguage: 'python', rows: 14 },
      default: EXAMPLE,
      required: true,
      noDataExpression: false,
      description:
        'Python to run. The incoming items are there as items (a list of dicts) and df (a pandas DataFrame), input files as files (a list of dicts with name and path). Assign the output to result. Figures that are shown, and files that are written to the working directory, come out as binary data. Packages such as pandas, numpy, matplotlib, scikit-learn and openpyxl are installed; there is no network.',
      displayOptions: show,
    },
    {
      displayName: 'Mode',
      name: 'mode',
      type: 'options',
      noDataExpression: true,
      default: 'all',
      description: 'How often the code runs',
      options: [
        { name: 'Run Once for All Items', value: 'all', description: 'The code sees all items at once' },
        {
          name: 'Run Once for Each Item',
          value: 'each',
          description: 'The code sees one item, in items, df and item',
        },
      ],
      displayOptions: show,
    },
    ...containerFields(show, 'session'),
    inputFilesField(show),
    {
      displayName: 'Return',
      name: 'returns',
      type: 'options',
      default: 'automatic',
      description: 'What the output items contain',
      options: [
        {
          name: 'Automatic',
          value: 'automatic',
          description:
            'The variable result; if it is not set, the value of the last expression; if there is none, the execution details',
        },
        {
          name: 'Execution Details',
          value: 'details',
          description: 'One item with what was printed, the files and the container ID',
        },
        {
          name: 'Last Expression',
          value: 'expression',
          description: 'The value of the last line, as in a notebook',
        },
        {
          name: 'Printed Text',
          value: 'printed',
          description: 'One item whose stdout holds what was printed',
        },
        { name: 'Result Variable', value: 'result', description: 'The value of the variable result' },
      ],
      displayOptions: show,
    },
    ...fileOutputFields(show),
    {
      displayName: 'Options',
      name: 'options',
      type: 'collection',
      placeholder: 'Add option',
      default: {},
      displayOptions: show,
      options: [
        {
          displayName: 'Add Container ID',
          name: 'addContainerId',
          type: 'boolean',
          default: false,
          description: 'Whether to add the field container_id to every item that comes out',
        },
        idleOption,
        memoryOption,
        {
          displayName: 'On Code Error',
          name: 'onCodeError',
          type: 'options',
          default: 'continue',
          description: 'What to do when Python raises an exception',
          options: [
            {
              name: 'Continue With Traceback',
              value: 'continue',
              description: 'Output one item whose error holds name, message and traceback',
            },
            {
              name: 'Stop Workflow',
              value: 'stop',
              description: 'Stop, or take the error output of the node',
            },
          ],
        },
        outputFieldOption,
        splitFilesOption,
        {
          displayName: 'Timeout (Seconds)',
          name: 'timeout',
          type: 'number',
          default: 120,
          typeOptions: { minValue: 1, maxValue: 3600 },
          description: 'How long the code may run before it is interrupted',
        },
      ],
    },
  ],
  execute,
  executeAll,
};
