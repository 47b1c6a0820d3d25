/** The only place that talks HTTP: address, key, time limits, and answers turned into errors people can act on. */
import { NodeApiError, NodeOperationError } from 'n8n-workflow';
import type { IDataObject, IHttpRequestMethods, IHttpRequestOptions, INode } from 'n8n-workflow';
import { describeApiError, describeConnectionError } from './errors';
import type { ApiContext, ByteStream } from './types';

export const CREDENTIAL = 'codeInterpreterApi';

/** Time limits in milliseconds; n8n's own default of five minutes would cut long runs. */
export const QUICK_TIMEOUT = 60_000;
export const TRANSFER_TIMEOUT = 15 * 60_000;

export interface ApiRequest {
  method: IHttpRequestMethods;
  /** Below the base URL, with a leading slash; ids go through `pathId`. */
  path: string;
  qs?: IDataObject;
  body?: IDataObject | FormData;
  timeout?: number;
  /** Is sent also after the execution was stopped: what it left on the server is cleared up then. */
  afterStop?: boolean;
}

interface FullResponse<T> {
  body: T;
  headers: IDataObject;
  statusCode: number;
}

/** An id as one path segment, whatever was typed. */
export function pathId(node: INode, name: string, id: unknown, itemIndex?: number): string {
  const text = typeof id === 'string' ? id.trim() : '';
  if (text === '' || text === '.' || text === '..') {
    throw new NodeOperationError(
      node,
      `'${name}' is empty${itemIndex === undefined ? '' : ` [item ${itemIndex}]`}`,
      {
        description: `Enter the ID in '${name}', or use an expression that yields one for every item.`,
        itemIndex,
      },
    );
  }
  return encodeURIComponent(text);
}

export async function baseUrl(context: ApiContext): Promise<string> {
  const credentials = await context.getCredentials<{ baseUrl?: string }>(CREDENTIAL);
  const address = (credentials.baseUrl ?? '').trim().replace(/\/+$/, '');
  if (!/^https?:\/\/[^/]/.test(address)) {
    throw new NodeOperationError(context.getNode(), "'Base URL' of the credential is not an address", {
      description:
        'Enter the address of the server, e.g. http://localhost:3000/v1, in the Code Interpreter API credential.',
    });
  }
  return address;
}

/** Sends a request and returns the JSON of the answer. */
export async function apiRequest<T = IDataObject>(context: ApiContext, request: ApiRequest): Promise<T> {
  const response = await send<T>(context, request, {});
  return response.body;
}

/** Opens the content of a file; nothing of it is held in memory. */
export async function apiDownload(
  context: ApiContext,
  path: string,
): Promise<{ body: ByteStream; headers: IDataObject }> {
  return await send<ByteStream>(
    context,
    { method: 'GET', path, timeout: TRANSFER_TIMEOUT },
    { encoding: 'stream', json: false },
  );
}

async function send<T>(
  context: ApiContext,
  request: ApiRequest,
  extra: Partial<IHttpRequestOptions>,
): Promise<FullResponse<T>> {
  const address = await baseUrl(context);
  const options: IHttpRequestOptions = {
    method: request.method,
    url: `${address}${request.path}`,
    qs: request.qs,
    timeout: request.timeout ?? QUICK_TIMEOUT,
    returnFullResponse: true,
    ignoreHttpStatusErrors: true,
    ...(request.body === undefined ? {} : { body: request.body as IDataObject }),
    ...(request.body instanceof FormData ? {} : { json: true }),
    ...extra,
  };
  let response: FullResponse<T>;
  try {
    response = (await context.helpers.httpRequestWithAuthentication.call(
      (request.afterStop === true ? withoutStop(context) : context) as never,
      CREDENTIAL,
      options,
    )) as FullResponse<T>;
  } catch (error) {
    // Older versions of n8n would put a sentence of their own in the place of ours if this were an API error.
    const { message, description } = describeConnectionError(error, address);
    throw new NodeOperationError(context.getNode(), message, { description });
  }
  if (response.statusCode < 400) return response;
  const body = await errorBody(response.body);
  throw new NodeApiError(
    context.getNode(),
    { message: 'request refused', httpCode: String(response.statusCode) },
    describeApiError(response.statusCode, body),
  );
}

/** n8n aborts the requests of a stopped execution before they are sent; it asks the context for the signal. */
const withoutStop = (context: ApiContext): ApiContext =>
  Object.create(context, { getExecutionCancelSignal: { value: () => undefined } }) as ApiContext;

/** The error envelope, also where the answer was asked for as a stream. */
async function errorBody(body: unknown): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  if (typeof body === 'object' && body !== null && Symbol.asyncIterator in body) {
    for await (const chunk of body as AsyncIterable<Uint8Array>) chunks.push(chunk);
    return parseJson(Buffer.concat(chunks).toString('utf8'));
  }
  if (Buffer.isBuffer(body)) return parseJson(body.toString('utf8'));
  return typeof body === 'string' ? parseJson(body) : body;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
