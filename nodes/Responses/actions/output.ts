/** How a response leaves the node; the same for Create, Get and Wait for Completion. */
import type { IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';
import { NodeOperationError } from 'n8n-workflow';
import { downloadFiles, fileOutputOf, withBinaries } from '../../shared/output';
import { citedFiles, raw, simplified } from '../../shared/responseData';
import type { ResponseObject } from '../../shared/types';

/** What a response that did not come to its end is told as. */
export function failIfAsked(context: IExecuteFunctions, response: ResponseObject, itemIndex: number): void {
  if (response.status !== 'failed') return;
  throw new NodeOperationError(
    context.getNode(),
    `The response ended as failed: ${response.error?.message ?? 'the server gave no reason'} [item ${itemIndex}]`,
    {
      description: `The response ${response.id} is kept on the server. Check the model in 'Model' and its provider in the configuration of the server.`,
      itemIndex,
    },
  );
}

export async function present(
  context: IExecuteFunctions,
  response: ResponseObject,
  itemIndex: number,
): Promise<INodeExecutionData[]> {
  const simplify = context.getNodeParameter('simplify', itemIndex, true) as boolean;
  const output = fileOutputOf(context, itemIndex);
  const downloaded = await downloadFiles(context, citedFiles(response), output);
  const json = simplify ? simplified(response, downloaded.files) : raw(response, downloaded.files);
  return withBinaries([json], downloaded, output, { item: itemIndex });
}
