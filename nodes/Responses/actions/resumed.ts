/** The item with which an execution goes on after the server has called back. */
import type { INodeExecutionData, IWebhookFunctions } from 'n8n-workflow';
import { mimeTypeOf } from '../../shared/mime';
import { INCLUDE_OUTPUTS } from '../../shared/poll';
import { citedFiles, raw, simplified } from '../../shared/responseData';
import { apiRequest } from '../../shared/transport';
import type { ResponseObject } from '../../shared/types';

/**
 * What the caller says is not trusted: the response is read with the credential. Files come as IDs, because
 * binary data made here would not belong to the execution.
 */
export async function resumed(context: IWebhookFunctions, id: string): Promise<INodeExecutionData> {
  const response = await apiRequest<ResponseObject>(context, {
    method: 'GET',
    path: `/responses/${encodeURIComponent(id)}`,
    qs: { 'include[]': INCLUDE_OUTPUTS[0] },
  });
  const files = citedFiles(response).map((file) => ({
    id: file.id,
    container_id: file.containerId,
    filename: file.fileName,
    mime_type: mimeTypeOf(file.fileName),
  }));
  const simplify = context.getNodeParameter('simplify', true) as boolean;
  return { json: simplify ? simplified(response, files) : raw(response, files), pairedItem: { item: 0 } };
}
