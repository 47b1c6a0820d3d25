/**
 * One model endpoint, reached with the official client. Turns everything that client throws into an
 * UpstreamFault, and keeps the key out of all that leaves this file.
 */
import OpenAI, { APIConnectionError, APIConnectionTimeoutError, APIError } from 'openai';
import type { ModelProvider } from '../../config/model-providers.js';
import type { ChatBody } from './request-body.js';
import { UpstreamFault } from './upstream-fault.js';

/** The client insists on a key; the header is taken away again. */
const NO_KEY = 'none';
const MAX_ERROR_CHARACTERS = 64 * 1024;
/** Shorter header values are words, not secrets. */
const SECRET_LENGTH = 8;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

/** Error bodies come in many shapes: one that the client understands. */
function errorShape(text: string): unknown {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return { error: { message: text.slice(0, 1000) } };
  }
  if (Array.isArray(body)) body = body[0];
  if (!isObject(body)) return { error: { message: text.slice(0, 1000) } };
  const inner = body['error'] ?? body;
  if (!isObject(inner))
    return { error: { message: typeof inner === 'string' ? inner : JSON.stringify(inner) } };
  const { message, detail, code, type } = inner;
  const said = message ?? detail ?? '';
  return { error: { message: typeof said === 'string' ? said : JSON.stringify(said), code, type } };
}

/** `fetch` for the client: as it is, but errors have a shape. */
const shapedFetch: typeof fetch = async (input, init) => {
  const response = await fetch(input, init);
  if (response.ok) return response;
  const text = (await response.text().catch(() => '')).slice(0, MAX_ERROR_CHARACTERS);
  const headers = new Headers({ 'content-type': 'application/json' });
  for (const name of ['retry-after', 'retry-after-ms']) {
    const value = response.headers.get(name);
    if (value !== null) headers.set(name, value);
  }
  return new Response(JSON.stringify(errorShape(text)), { status: response.status, headers });
};

/** Milliseconds until the endpoint wants to be asked again, or null. */
export function readRetryAfter(headers: Headers | undefined, now = Date.now()): number | null {
  const exact = Number.parseFloat(headers?.get('retry-after-ms') ?? '');
  if (Number.isFinite(exact)) return Math.max(0, exact);
  const text = headers?.get('retry-after') ?? '';
  const seconds = Number(text);
  if (text !== '' && Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

const reasonOf = (error: Error): string => {
  const cause = error.cause instanceof Error ? error.cause : error;
  const inner = cause.cause instanceof Error ? cause.cause : cause;
  return (inner as NodeJS.ErrnoException).code ?? inner.message;
};

function toFault(error: unknown, timeoutMs: number): unknown {
  if (error instanceof APIConnectionTimeoutError)
    return new UpstreamFault({ kind: 'silence', afterMs: timeoutMs });
  if (error instanceof APIConnectionError)
    return new UpstreamFault({ kind: 'connection', reason: reasonOf(error) });
  if (error instanceof APIError && typeof error.status === 'number') {
    const { code, type, message } = (error.error ?? {}) as Record<string, unknown>;
    return new UpstreamFault({
      kind: 'status',
      status: error.status,
      code: typeof code === 'string' ? code : typeof type === 'string' ? type : null,
      message: typeof message === 'string' ? message : '',
      retryAfterMs: readRetryAfter(error.headers),
    });
  }
  return error;
}

export class Endpoint {
  readonly name: string;
  readonly timeoutMs: number;
  readonly maxRetries: number;
  private readonly client: OpenAI;
  private readonly secrets: readonly string[];

  constructor(provider: ModelProvider) {
    this.name = provider.name;
    this.timeoutMs = provider.timeout_ms;
    this.maxRetries = provider.max_retries;
    this.secrets = [provider.api_key ?? '', ...Object.values(provider.headers)]
      .flatMap((value) => [value, ...value.split(/\s+/)])
      .filter((value) => value.length >= SECRET_LENGTH);
    this.client = new OpenAI({
      baseURL: provider.base_url,
      apiKey: provider.api_key ?? NO_KEY,
      adminAPIKey: null,
      organization: null,
      project: null,
      // Retries are ours, because only we know whether anything of an answer was passed on.
      maxRetries: 0,
      timeout: provider.timeout_ms,
      // At other levels the client may write requests, and prompts with them.
      logLevel: 'off',
      fetch: shapedFetch,
      defaultHeaders: {
        ...(provider.api_key === undefined ? { authorization: null } : {}),
        ...provider.headers,
      },
    });
  }

  /** The reply to a chat completion, unread. Rejects with UpstreamFault, or as `signal` says. */
  async open(body: ChatBody, signal: AbortSignal): Promise<Response> {
    try {
      return await this.client.chat.completions.create(body as never, { signal }).asResponse();
    } catch (error) {
      signal.throwIfAborted();
      throw toFault(error, this.timeoutMs);
    }
  }

  /** What GET /models answers, unchecked. Rejects with UpstreamFault. */
  async models(timeoutMs: number): Promise<unknown> {
    try {
      return await this.client.get('/models', { timeout: timeoutMs, signal: AbortSignal.timeout(timeoutMs) });
    } catch (error) {
      throw toFault(error, timeoutMs);
    }
  }

  /** Takes the key and the values of headers out of a text. */
  readonly redact = (text: string): string =>
    this.secrets
      .reduce((left, secret) => left.replaceAll(secret, '[redacted]'), text)
      .replace(/\b(sk|gsk|key|Bearer|Api-Key)([-_ ])[A-Za-z0-9*._-]{8,}/g, '$1$2[redacted]');
}
