/** A run of code as n8n items: rows of its value, or one item with its details. */
import type { IDataObject, IExecuteFunctions, INodeExecutionData, IPairedItemData } from 'n8n-workflow';
import { attachmentsOf, type Downloaded, type FileOutput, withBinaries } from '../../shared/output';
import { describeStep, type Returns, rowsOf, type StepResult, succeeded } from '../../shared/runCode';
import { isToolCall } from '../../shared/session';

/** Links from output to input items that n8n stores with an execution. */
const MAX_PAIRS = 10_000;

export interface RunOptions extends IDataObject {
  addContainerId?: boolean;
  attachEverything?: boolean;
  idleMinutes?: number;
  keepContainer?: boolean;
  memory?: string;
  onCodeError?: 'continue' | 'stop';
  timeout?: number;
}

/** What the parameter `Return` says: the last two are ways to show a run, not values of the code. */
export type Shown = Returns | 'printed' | 'details';

export interface Shape {
  returns: Shown;
  options: RunOptions;
  output: FileOutput;
  pairedItem: IPairedItemData | IPairedItemData[];
}

/** An exception is told in full; and an agent wants to see what was printed beside the result. */
const isToldInDetail = (context: IExecuteFunctions, step: StepResult): boolean =>
  step.execution.value === null || !succeeded(step) || isToolCall(context);

/** A later step can reach the container by the ID that goes out, and files only there. */
export function isContainerNeeded(
  step: StepResult,
  { files }: Downloaded,
  { options }: Pick<Shape, 'options'>,
): boolean {
  if (options.keepContainer === true || options.addContainerId === true) return true;
  return (
    step.execution.value === null && files.some(({ binary_property: property }) => property === undefined)
  );
}

export function toItems(
  context: IExecuteFunctions,
  step: StepResult,
  downloaded: Downloaded,
  { options, output, pairedItem, isKept }: Shape & { isKept: boolean },
): INodeExecutionData[] {
  const { container_id: containerId, ...described } = describeStep(step);
  const details = {
    ...described,
    ...(isKept ? { container_id: containerId } : {}),
    files: downloaded.files,
    attachments: attachmentsOf(downloaded.binary),
  };
  if (options.attachEverything === true)
    return withBinaries([details], downloaded, { ...output, split: false }, pairedItem);
  if (isToldInDetail(context, step)) return withBinaries([details], downloaded, output, pairedItem);
  const value = step.execution.value?.json;
  // Rows of a table stay as they are; one value is what a mail tells, and takes its attachments along.
  const attached = !Array.isArray(value) && details.attachments !== '';
  const rows = rowsOf(value).map((row) => ({
    ...(attached ? { attachments: details.attachments } : {}),
    ...row,
    ...(options.addContainerId === true ? { container_id: containerId } : {}),
  }));
  // Charts need an item to hang on, also when the result is an empty list.
  if (rows.length === 0 && Object.keys(downloaded.binary).length > 0) {
    return withBinaries([details], downloaded, output, pairedItem);
  }
  return pairs(withBinaries(rows, downloaded, output, pairedItem), output, pairedItem);
}

/** Items that are as many as came in stem from one each. */
function pairs(
  items: INodeExecutionData[],
  output: FileOutput,
  pairedItem: IPairedItemData | IPairedItemData[],
): INodeExecutionData[] {
  if (!Array.isArray(pairedItem)) return items;
  if (pairedItem.length === items.length && !output.split) {
    return items.map((item, index) => ({ ...item, pairedItem: pairedItem[index] }));
  }
  // A few rows of many items stem from all of them; many rows of many items would name too many pairs.
  const isLong = pairedItem.length * items.length > MAX_PAIRS;
  return isLong ? items.map((item) => ({ ...item, pairedItem: { item: 0 } })) : items;
}
