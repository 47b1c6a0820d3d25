/** What the fake model endpoint is told to do: one entry per turn. Plain data, also over the control API. */

export interface ScriptedCall {
  readonly name: string;
  /** An object is sent as JSON text. */
  readonly arguments: string | Readonly<Record<string, unknown>>;
  readonly id?: string;
}

export interface ScriptedUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly cached_tokens?: number;
  readonly reasoning_tokens?: number;
}

/** Which server the chunks look like. */
export type Dialect = 'openai' | 'vllm' | 'ollama' | 'litellm' | 'llama.cpp' | 'openrouter' | 'whole';

export type Fault =
  /** An error status instead of an answer. */
  | {
      readonly kind: 'status';
      readonly status: number;
      /** Seconds. */
      readonly retry_after?: number;
      readonly body?: unknown;
    }
  /** The connection breaks after so many chunks; 0: before the answer begins. */
  | { readonly kind: 'disconnect'; readonly after?: number }
  /** The stream ends without saying so after this many chunks. */
  | { readonly kind: 'cut'; readonly after: number }
  /** Not an event stream at all, or a broken event after so many chunks. */
  | { readonly kind: 'garbage'; readonly after?: number }
  /** Nothing more comes after so many chunks, and the connection stays open. */
  | { readonly kind: 'stall'; readonly after?: number }
  /** An error object in the middle of the stream. */
  | { readonly kind: 'error'; readonly after: number; readonly error: unknown };

export interface ScriptedTurn {
  readonly reasoning?: string;
  readonly text?: string;
  readonly refusal?: string;
  readonly calls?: readonly ScriptedCall[];
  /** Default: `tool_calls` when there are calls, else `stop`. */
  readonly finish?: string;
  /** Default: four characters are a token. Null sends none. */
  readonly usage?: ScriptedUsage | null;
  readonly dialect?: Dialect;
  /** Characters in one chunk; default 16. */
  readonly chunk?: number;
  /** Milliseconds before each chunk. */
  readonly delay_ms?: number;
  readonly fault?: Fault;
}

/** A request as it came in, for assertions. */
export interface RecordedRequest {
  readonly path: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: ChatRequest;
  /** When each chunk was written, in milliseconds of `performance.now()`. */
  readonly written_at: number[];
  /** The client went away before the answer was complete. */
  aborted: boolean;
}

export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly stream?: boolean;
  readonly tools?: readonly { readonly function: { readonly name: string } }[];
  readonly tool_choice?: unknown;
  readonly [key: string]: unknown;
}

export interface ChatMessage {
  readonly role: string;
  readonly content: string | readonly { readonly type: string; readonly text?: string }[] | null;
  readonly tool_calls?: readonly unknown[];
  readonly tool_call_id?: string;
}

export const textOf = (message: ChatMessage | undefined): string =>
  message === undefined || message.content === null
    ? ''
    : typeof message.content === 'string'
      ? message.content
      : message.content.map((part) => part.text ?? '').join('\n');
