/** The item with which an execution goes on after the server has called back. */
import type { IDataObject, INodeExecutionData, IWebhookFunctions } from 'n8n-workflow';
import { finishedResponse, withFileIds } from '../../shared/finishedResponse';
import { getResponse } from '../../shared/poll';
import { containerOf } from '../../shared/responseData';
import { expireContainer } from '../../shared/session';
import { type CreateOptions, isContainerOurs } from './request';

/**
 * What the caller says is not trusted: the response is read with the credential. Files come as IDs, because
 * binary data made here would not belong to the execution.
 */
export async function resumed(context: IWebhookFunctions, id: string): Promise<INodeExecutionData> {
  const finished = await finishedResponse(context, await getResponse(context, id));
  const containerId = containerOf(finished.response);
  const options = context.getNodeParameter('options', {}) as CreateOptions;
  const mode = context.getNodeParameter('container', 'new') as string;
  if (containerId !== null && isContainerOurs(mode, options)) await expireContainer(context, containerId);
  const json = await withFileIds(context, finished, {
    simplify: context.getNodeParameter('simplify', true) as boolean,
    linkHours: options.linkHours,
  });
  return { json: { ...json, response_id: id }, pairedItem: { item: 0 } };
}

/** What the execution goes on with if nobody calls back in time: n8n then hands on what came in. */
export const timedOut = (responseId: string, timeoutMs: number): IDataObject => ({
  id: responseId,
  status: 'timed_out',
  response_id: responseId,
  output_text: null,
  error: {
    message: `The response had not ended after ${Math.round(timeoutMs / 1000)} seconds. It goes on in the background: get it later with the operation 'Wait for Completion'.`,
  },
});
