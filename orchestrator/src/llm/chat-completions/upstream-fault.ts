/**
 * What can go wrong at a model endpoint, and the one place where that becomes an LlmError: who must
 * act, what the caller reads, and whether trying again makes sense.
 */
import { LlmError } from '../llm.js';

export type Fault =
  /** An answer with an error status, or an error in the middle of a stream. */
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly code: string | null;
      readonly message: string;
      /** Milliseconds; null when the endpoint did not say. */
      readonly retryAfterMs: number | null;
    }
  /** No connection, or it broke. */
  | { readonly kind: 'connection'; readonly reason: string }
  /** Nothing came for this many milliseconds. */
  | { readonly kind: 'silence'; readonly afterMs: number }
  /** Something came that is not an answer. */
  | { readonly kind: 'garbage'; readonly what: string }
  /** The stream ended before the answer did. */
  | { readonly kind: 'cut' };

/** Thrown inside this adapter only. */
export class UpstreamFault extends Error {
  override readonly name = 'UpstreamFault';
  constructor(readonly fault: Fault) {
    super(fault.kind);
  }
}

export interface Verdict {
  readonly error: LlmError;
  /** Whether the same request may succeed a moment later. */
  readonly retry: boolean;
  readonly retryAfterMs: number | null;
}

export interface Names {
  readonly provider: string;
  readonly model: string;
}

const CONTEXT =
  /context[ _-]?(length|window|size)|maximum context|prompt is too long|too many (input )?tokens|exceeds? (the )?(available )?context|exceeds? .{0,40}(max_model_len|n_ctx)|input .{0,30}too long/i;
const CONTEXT_CODES = new Set(['context_length_exceeded', 'exceed_context_size_error', 'context_exceeded']);
const USED_UP = new Set(['insufficient_quota', 'billing_hard_limit_reached']);
/** 502 stands for an error in the middle of a stream, which has no status of its own. */
const CONTEXT_STATUS = new Set([400, 413, 422, 500, 502]);
const NO_TOOLS =
  /(does not|doesn't|do not) support.{0,30}\btools?\b|\btools?\b.{0,30}(is|are) not supported|endpoints? found that support tool|enable-auto-tool-choice|tools param requires|function calling is not (enabled|supported)/i;
const MAX_QUOTED = 400;

type StatusFault = Extract<Fault, { kind: 'status' }>;

const isContext = ({ status, code, message }: StatusFault): boolean =>
  (code !== null && CONTEXT_CODES.has(code)) || (CONTEXT_STATUS.has(status) && CONTEXT.test(message));

/** What the endpoint said, as far as it fits behind a sentence of ours. */
function quoted(message: string): string {
  const text = message.replace(/\s+/g, ' ').trim();
  if (text === '' || text.startsWith('<')) return '.';
  return `: ${text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED).toWellFormed()}…` : text}`;
}

function ofRateLimit(fault: StatusFault, provider: string): Verdict {
  if (fault.code !== null && USED_UP.has(fault.code)) {
    const message = `The quota of this server at the model provider '${provider}' is used up (HTTP ${fault.status}). The operator must renew it.`;
    return { error: new LlmError('rate_limited', message), retry: false, retryAfterMs: null };
  }
  const when =
    fault.retryAfterMs === null ? 'later' : `in ${Math.max(1, Math.ceil(fault.retryAfterMs / 1000))} s`;
  const message = `The model provider '${provider}' limits requests (HTTP ${fault.status}). Try again ${when}.`;
  return { error: new LlmError('rate_limited', message), retry: true, retryAfterMs: fault.retryAfterMs };
}

function ofStatus(fault: StatusFault, { provider, model }: Names): Verdict {
  const final = (code: LlmError['code'], message: string): Verdict => ({
    error: new LlmError(code, message),
    retry: false,
    retryAfterMs: null,
  });
  const said = `HTTP ${fault.status}`;
  if (isContext(fault)) {
    return final(
      'context_length_exceeded',
      `The input is too long for the context window of the model '${model}'${quoted(fault.message)}`,
    );
  }
  if (fault.status !== 401 && NO_TOOLS.test(fault.message)) {
    return final(
      'rejected',
      `The model '${model}' cannot call tools the way the model provider '${provider}' serves it (${said})${quoted(fault.message)} Choose another model, or let the operator turn tool calls on.`,
    );
  }
  switch (fault.status) {
    case 401:
      return final(
        'rejected',
        `The model provider '${provider}' does not accept the key of this server (${said}). The operator must check the key of this provider.`,
      );
    case 402:
      return final(
        'rejected',
        `The account of this server at the model provider '${provider}' has no credit left (${said}). The operator must renew it.`,
      );
    case 403:
      return final(
        'rejected',
        `The model provider '${provider}' does not let this server use the model '${model}' (${said}). The operator must check the key and what it may do.`,
      );
    case 404:
      return final(
        'rejected',
        `The model provider '${provider}' does not know the model '${model}' (${said}). The operator must check the name of the model and the base URL of the provider.`,
      );
    case 429:
      return ofRateLimit(fault, provider);
    default:
      if (fault.status >= 500 || fault.status === 408 || fault.status === 409) {
        const message = `The model provider '${provider}' had an error (${said})${quoted(fault.message)}`;
        return {
          error: new LlmError('unavailable', message),
          retry: true,
          retryAfterMs: fault.retryAfterMs,
        };
      }
      return final(
        'rejected',
        `The model provider '${provider}' rejected the request (${said})${quoted(fault.message)}`,
      );
  }
}

function verdict(fault: Fault, names: Names): Verdict {
  const again = (code: LlmError['code'], message: string): Verdict => ({
    error: new LlmError(code, message),
    retry: true,
    retryAfterMs: null,
  });
  const who = `The model provider '${names.provider}'`;
  switch (fault.kind) {
    case 'status':
      return ofStatus(fault, names);
    case 'connection':
      return again('unavailable', `${who} cannot be reached.`);
    case 'silence':
      return again('unavailable', `${who} said nothing for ${Math.round(fault.afterMs / 1000)} s.`);
    case 'garbage':
      return again('protocol', `${who} sent something that is not a chat completion (${fault.what}).`);
    case 'cut':
      return again('protocol', `${who} ended the answer in the middle.`);
  }
}

/** `redact` takes secrets out of what the endpoint said. Anything that is not an UpstreamFault is ours. */
export function judge(error: unknown, names: Names, redact: (text: string) => string): Verdict {
  if (error instanceof LlmError) return { error, retry: false, retryAfterMs: null };
  if (!(error instanceof UpstreamFault)) throw error;
  const { fault } = error;
  return verdict(fault.kind === 'status' ? { ...fault, message: redact(fault.message) } : fault, names);
}
