/** Messages that say what happened and what to do about it. */
import { NodeApiError, NodeOperationError } from 'n8n-workflow';
import type { INode, INodeExecutionData, IPairedItemData } from 'n8n-workflow';

export interface ErrorText {
  message: string;
  description: string;
  httpCode?: string;
}

interface Envelope {
  error?: { message?: unknown; code?: unknown; param?: unknown; type?: unknown };
}

/** What to do, by the server's code and then by status. */
const BY_CODE: Readonly<Record<string, string>> = {
  invalid_api_key: 'Check the API key in the Code Interpreter API credential.',
  model_not_found:
    "Choose a model from the list in 'Model', or add the model's provider to the server's configuration.",
  container_expired:
    "A container expires after it was idle for its lifetime. Create a new one, or choose 'Session' in 'Run In': an expired session gets a new container by itself.",
  previous_response_not_found:
    "Check 'Previous Response ID'; responses that were created with storing off, or deleted, cannot be continued.",
  conversation_locked:
    'Another response is being made in this conversation. Turn on Retry On Fail in the node settings.',
  context_length_exceeded: 'Shorten the prompt or the conversation, or choose a model with a larger context.',
  links_disabled:
    "The operator of the server has switched links off for this project. Remove 'Link Lifetime (Hours)', or ask for them to be switched on.",
  unknown_parameter: 'The server may be older or newer than this node. Update both to the same version.',
};

export const BASE_URL =
  "Check 'Base URL' in the Code Interpreter API credential: the address of the server with the prefix of its API, e.g. http://localhost:3000/v1.";

/** Answers that were not the server's own: what stands in front of it, or in its place. */
export const BY_PROXY: Readonly<Record<number, string>> = {
  413: 'The proxy in front of the server takes no requests of this size. Raise its limit, or send a smaller file.',
  429: 'The proxy in front of the server lets no more requests through. Turn on Retry On Fail in the node settings.',
  502: 'The proxy in front of the server got no answer. Check that the server is running.',
  503: 'The server behind this address is starting or stopped. Turn on Retry On Fail in the node settings.',
  504: 'The proxy in front of the server gave up waiting. Raise its time limit, or choose a run mode that polls.',
};

const BY_STATUS: Readonly<Record<number, string>> = {
  401: 'Check the API key in the Code Interpreter API credential.',
  403: 'The API key has no access to this. Check which project it belongs to.',
  404: 'Check the ID. Objects of another project, deleted ones and expired ones cannot be seen with this API key.',
  405: "Check 'Base URL' in the credential: it must end with the API's prefix, e.g. /v1.",
  413: 'Send a smaller file, or raise the size limit in the configuration of the server.',
  429: 'The server is at its limit. Turn on Retry On Fail in the node settings, delete containers that are not needed, or raise the limit.',
  503: 'The server is starting or shutting down. Turn on Retry On Fail in the node settings.',
};

export function describeApiError(status: number, body: unknown): ErrorText {
  const error = (body as Envelope | null)?.error;
  const said = typeof error?.message === 'string' ? error.message : '';
  const code = typeof error?.code === 'string' ? error.code : '';
  const param = typeof error?.param === 'string' ? ` (parameter ${error.param})` : '';
  if (said === '') {
    return {
      message: `The address answered with status ${status}, but not as a Code Interpreter server`,
      description: BY_PROXY[status] ?? BASE_URL,
      httpCode: String(status),
    };
  }
  return {
    message: `${said.replace(/\.$/, '')}${param}`,
    description:
      BY_CODE[code] ?? BY_STATUS[status] ?? 'The server log holds more under the time of this call.',
    httpCode: String(status),
  };
}

const TOO_SLOW =
  "The answer took longer than the node waits. Check the address, or raise 'Timeout' in the options.";
const CONNECTION: Readonly<Record<string, string>> = {
  ECONNREFUSED:
    'Nothing listens at this address. Start the server, and check the port. From inside Docker, use the name of the service instead of localhost.',
  ENOTFOUND:
    'The host name in the address was not found. Check its spelling, and that n8n and the server share a network.',
  EAI_AGAIN: 'The name in the address could not be looked up. Check the network of the machine n8n runs on.',
  ECONNRESET: 'The connection was cut. Check proxies between n8n and the server, and the log of the server.',
  ECONNABORTED: "The answer took longer than the node waits. Raise 'Timeout' in the options of the node.",
  ETIMEDOUT: TOO_SLOW,
  CERT_HAS_EXPIRED: 'The certificate of the server has expired. Renew it.',
  DEPTH_ZERO_SELF_SIGNED_CERT:
    'The certificate of the server is self-signed. Add it to the ones n8n trusts (NODE_EXTRA_CA_CERTS).',
};

/** Older versions of n8n hand on an error of their own: the code is its `httpCode`, or stands in `messages`. */
function codeOf(error: unknown): string {
  const { code, cause, httpCode, messages } = (error ?? {}) as {
    code?: unknown;
    cause?: { code?: unknown };
    httpCode?: unknown;
    messages?: unknown;
  };
  const said = [
    error instanceof Error ? error.message : String(error),
    ...(Array.isArray(messages) ? messages : []),
  ];
  const named = [code, cause?.code, httpCode].find((each) => typeof each === 'string' && each in CONNECTION);
  return (
    (named as string | undefined) ?? Object.keys(CONNECTION).find((each) => said.join().includes(each)) ?? ''
  );
}

export function describeConnectionError(error: unknown, address: string): ErrorText {
  const said = error instanceof Error ? error.message : String(error);
  const code = codeOf(error);
  if (/abort|cancel/i.test(said) && code !== 'ECONNABORTED') {
    return { message: 'The run was cancelled', description: 'The execution was stopped in n8n.' };
  }
  return {
    message: `The Code Interpreter server at ${address} could not be reached`,
    description: CONNECTION[code] ?? (/timeout/i.test(said) ? TOO_SLOW : said),
  };
}

/** Tells the item an error belongs to; n8n shows it beside the message. */
export function toItemError(
  node: INode,
  error: unknown,
  itemIndex: number,
): NodeApiError | NodeOperationError {
  if (error instanceof NodeOperationError || error instanceof NodeApiError) {
    error.context.itemIndex ??= itemIndex;
    return error;
  }
  return new NodeOperationError(node, error as Error, { itemIndex });
}

/**
 * What an item becomes when the node continues after an error: `error` is the message, `message` says more. Every
 * n8n from 1.123 on sends an item to the error output that has no other keys than these; with an `error` beside
 * `json` it would throw all but the message away.
 */
export function errorItem(
  node: INode,
  error: unknown,
  pairedItem: IPairedItemData | IPairedItemData[],
): INodeExecutionData {
  const [first] = Array.isArray(pairedItem) ? pairedItem : [pairedItem];
  const fault = toItemError(node, error, first?.item ?? 0);
  const status = fault instanceof NodeApiError ? Number(fault.httpCode) : 0;
  const more = [
    ...(status > 0 ? [`Status ${status}.`] : []),
    ...(fault.description ? [fault.description] : []),
  ];
  return {
    json: { error: fault.message, ...(more.length > 0 ? { message: more.join(' ') } : {}) },
    pairedItem,
  };
}
