/**
 * The port to language models. Adapters: `python/` (built in, no model at all) and
 * `chat-completions/`. One call is one turn: messages in, one assistant message out, as a stream.
 * The loop that runs tools between turns belongs to the responses feature.
 */

/** A part of what a user, tool or system message holds. */
export type LlmPart =
  | { readonly type: 'text'; readonly text: string }
  /** `url` is a data URL; only sent to models that can see. */
  | { readonly type: 'image'; readonly url: string; readonly detail?: string | undefined };

export interface LlmToolCall {
  readonly callId: string;
  readonly name: string;
  /** JSON text as the model wrote it; not necessarily valid. */
  readonly arguments: string;
}

/** A file that an execution made, as far as a model may know it. */
export interface LlmFile {
  readonly path: string;
  readonly bytes: number;
}

export type LlmMessage =
  | { readonly role: 'system'; readonly parts: readonly LlmPart[] }
  | { readonly role: 'user'; readonly parts: readonly LlmPart[] }
  | {
      readonly role: 'assistant';
      readonly text: string;
      readonly reasoning?: string | undefined;
      readonly toolCalls: readonly LlmToolCall[];
    }
  | {
      readonly role: 'tool';
      readonly callId: string;
      readonly parts: readonly LlmPart[];
      /** Set on results of the python tool. */
      readonly files?: readonly LlmFile[] | undefined;
    };

export interface LlmTool {
  readonly name: string;
  readonly description: string;
  /** JSON schema of the arguments. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly strict: boolean | null;
}

export type LlmToolChoice =
  | { readonly type: 'none' | 'auto' | 'required' }
  | { readonly type: 'tool'; readonly name: string };

export interface LlmRequest {
  readonly model: string;
  readonly messages: readonly LlmMessage[];
  readonly tools: readonly LlmTool[];
  readonly toolChoice: LlmToolChoice;
  readonly parallelToolCalls: boolean;
  readonly temperature?: number | undefined;
  readonly topP?: number | undefined;
  readonly maxOutputTokens?: number | undefined;
  /** Alternatives for each token; 0 asks for the tokens alone, absence for nothing. */
  readonly topLogprobs?: number | undefined;
  readonly reasoningEffort?: string | undefined;
  readonly verbosity?: string | undefined;
  /** JSON-schema or JSON-object output, as the Responses API words it. */
  readonly format?: Readonly<Record<string, unknown>> | undefined;
  readonly user?: string | undefined;
}

export interface LlmUsage {
  readonly inputTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
  readonly reasoningTokens: number;
}

/** How sure the model was of one token; the alternatives are there if they were asked for. */
export interface LlmLogprob {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[];
  readonly top_logprobs: readonly Omit<LlmLogprob, 'top_logprobs'>[];
}

export type LlmFinish = 'stop' | 'tool_calls' | 'length' | 'content_filter';

/** Deltas in the order the model produced them; `finish` is always last. */
export type LlmEvent =
  | { readonly type: 'text'; readonly delta: string; readonly logprobs?: readonly LlmLogprob[] | undefined }
  | { readonly type: 'refusal'; readonly delta: string }
  | { readonly type: 'reasoning'; readonly delta: string }
  /** `index` tells parallel calls apart; `callId` and `name` come with the first piece of a call. */
  | {
      readonly type: 'tool_call';
      readonly index: number;
      readonly callId?: string | undefined;
      readonly name?: string | undefined;
      readonly argumentsDelta: string;
    }
  | { readonly type: 'finish'; readonly reason: LlmFinish; readonly usage: LlmUsage | null };

/** Why a turn failed, sorted by who must act. The message is shown to the caller and holds no secret. */
export class LlmError extends Error {
  override readonly name = 'LlmError';
  constructor(
    readonly code: 'unavailable' | 'rate_limited' | 'rejected' | 'context_length_exceeded' | 'protocol',
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

/** Implemented by adapters. */
export abstract class Llm {
  /**
   * One turn. Called by the loop of a response; aborting `signal` ends the stream by an exception
   * within moments. Rejects with {@link LlmError}; retries that are safe have been made already.
   */
  abstract stream(request: LlmRequest, signal: AbortSignal): AsyncIterable<LlmEvent>;
}
