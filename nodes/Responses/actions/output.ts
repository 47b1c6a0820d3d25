/** How a response leaves the node; the same for Ask a Model, Get and Wait for Completion. */
import { NodeOperationError } from 'n8n-workflow';
import type { IDataObject, IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';
import { type Finished, shownResponse } from '../../shared/finishedResponse';
import { attachmentsOf, downloadFiles, fileOutputOf, withBinaries } from '../../shared/output';
import { isToolCall } from '../../shared/session';

/** Reads the option On Code Error: agents get faults as data, workflows as errors unless they ask for data. */
export function failIfAsked(context: IExecuteFunctions, { fault }: Finished, itemIndex: number): void {
  if (fault === undefined) return;
  const { onCodeError } = context.getNodeParameter('options', itemIndex, {}) as IDataObject;
  if ((onCodeError ?? (isToolCall(context) ? 'continue' : 'stop')) !== 'stop') return;
  throw new NodeOperationError(context.getNode(), `${fault.message} [item ${itemIndex}]`, {
    description: fault.description,
    itemIndex,
  });
}

export async function present(
  context: IExecuteFunctions,
  finished: Finished,
  itemIndex: number,
): Promise<INodeExecutionData[]> {
  const simplify = context.getNodeParameter('simplify', itemIndex, true) as boolean;
  const output = fileOutputOf(context, itemIndex);
  const downloaded = await downloadFiles(context, finished.files, output);
  const json = shownResponse(finished, downloaded.files, simplify);
  json.attachments = attachmentsOf(downloaded.binary);
  return withBinaries([json], downloaded, output, { item: itemIndex });
}
