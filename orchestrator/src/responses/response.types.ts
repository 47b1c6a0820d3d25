/** Wire objects of the Responses API (docs/contract/responses.md). Names are the wire's. */

export interface ContainerFileCitation {
  readonly type: 'container_file_citation';
  readonly container_id: string;
  readonly file_id: string;
  readonly filename: string;
  readonly start_index: number;
  readonly end_index: number;
}

export interface OutputTextPart {
  readonly type: 'output_text';
  readonly text: string;
  readonly annotations: readonly ContainerFileCitation[];
  readonly logprobs: readonly unknown[];
}

export interface RefusalPart {
  readonly type: 'refusal';
  readonly refusal: string;
}

export type ItemStatus = 'in_progress' | 'completed' | 'incomplete';

export interface MessageItem {
  readonly id: string;
  readonly type: 'message';
  readonly status: ItemStatus;
  readonly role: 'assistant';
  readonly content: readonly (OutputTextPart | RefusalPart)[];
}

export interface ReasoningItem {
  readonly id: string;
  readonly type: 'reasoning';
  readonly summary: readonly { readonly type: 'summary_text'; readonly text: string }[];
  readonly content?: readonly { readonly type: 'reasoning_text'; readonly text: string }[];
}

export interface FunctionCallItem {
  readonly id: string;
  readonly type: 'function_call';
  readonly call_id: string;
  readonly name: string;
  readonly arguments: string;
  readonly status: ItemStatus;
}

/** As stored: an image is named by its container file. */
export type StoredCallOutput =
  | { readonly type: 'logs'; readonly logs: string }
  | { readonly type: 'image'; readonly file_id: string };

/** As shown: `url` is filled in when it is. */
export type CallOutputEntry = StoredCallOutput | { readonly type: 'image'; readonly url: string };

export interface CodeInterpreterCallItem {
  readonly id: string;
  readonly type: 'code_interpreter_call';
  readonly status: 'in_progress' | 'interpreting' | 'completed' | 'incomplete' | 'failed';
  readonly code: string | null;
  readonly container_id: string;
  readonly outputs: readonly CallOutputEntry[] | null;
}

export type OutputItem = MessageItem | ReasoningItem | FunctionCallItem | CodeInterpreterCallItem;

export type ResponseStatus = 'queued' | 'in_progress' | 'completed' | 'failed' | 'incomplete' | 'cancelled';

export interface Usage {
  readonly input_tokens: number;
  readonly input_tokens_details: { readonly cached_tokens: number; readonly cache_write_tokens: number };
  readonly output_tokens: number;
  readonly output_tokens_details: { readonly reasoning_tokens: number };
  readonly total_tokens: number;
}

/** Every key is always there (docs/contract/responses.md); `conversation` alone may be absent. */
export interface ResponseObject {
  readonly id: string;
  readonly object: 'response';
  readonly created_at: number;
  readonly status: ResponseStatus;
  readonly background: boolean;
  readonly completed_at: number | null;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly incomplete_details: { readonly reason: 'max_output_tokens' | 'content_filter' } | null;
  readonly instructions: string | readonly unknown[] | null;
  readonly max_output_tokens: number | null;
  readonly max_tool_calls: number | null;
  readonly model: string;
  readonly output: readonly OutputItem[];
  readonly parallel_tool_calls: boolean;
  readonly previous_response_id: string | null;
  readonly conversation?: { readonly id: string };
  readonly prompt_cache_key: string | null;
  readonly prompt_cache_retention: string | null;
  readonly reasoning: { readonly effort: string | null; readonly summary: string | null };
  readonly safety_identifier: string | null;
  readonly service_tier: string;
  readonly store: boolean;
  readonly temperature: number;
  readonly top_p: number;
  readonly top_logprobs: number;
  readonly frequency_penalty: number;
  readonly presence_penalty: number;
  readonly text: { readonly format: Readonly<Record<string, unknown>>; readonly verbosity: string };
  readonly tool_choice: unknown;
  readonly tools: readonly unknown[];
  readonly truncation: string;
  readonly usage: Usage | null;
  readonly user: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly moderation: null;
  readonly access_programs: null;
}

/** What producers say; numbers and snapshots are added in one place, the sequencer. */
export type DraftEvent =
  | { readonly type: 'response.created' | 'response.queued' | 'response.in_progress' }
  | { readonly type: 'response.completed'; readonly usage: Usage }
  | {
      readonly type: 'response.incomplete';
      readonly reason: 'max_output_tokens' | 'content_filter';
      readonly usage: Usage | null;
    }
  | {
      readonly type: 'response.failed';
      readonly status: 'failed' | 'cancelled';
      readonly error: { readonly code: string; readonly message: string } | null;
      readonly usage: Usage | null;
    }
  | { readonly type: 'response.output_item.added' | 'response.output_item.done'; readonly item: OutputItem }
  | ItemEvent;

interface OfItem {
  readonly item_id: string;
}
interface OfContent extends OfItem {
  readonly content_index: number;
}
interface OfSummary extends OfItem {
  readonly summary_index: number;
}
type SummaryPart = ReasoningItem['summary'][number];
type ReasoningPart = NonNullable<ReasoningItem['content']>[number];

/** An event about one item; `output_index` is added by the sequencer. */
export type ItemEvent =
  | (OfContent & {
      readonly type: 'response.content_part.added' | 'response.content_part.done';
      readonly part: OutputTextPart | RefusalPart | ReasoningPart;
    })
  | (OfContent & {
      readonly type: 'response.output_text.delta';
      readonly delta: string;
      readonly logprobs: readonly unknown[];
    })
  | (OfContent & {
      readonly type: 'response.output_text.done';
      readonly text: string;
      readonly logprobs: readonly unknown[];
    })
  | (OfContent & {
      readonly type: 'response.output_text.annotation.added';
      readonly annotation_index: number;
      readonly annotation: ContainerFileCitation;
    })
  | (OfContent & { readonly type: 'response.refusal.delta'; readonly delta: string })
  | (OfContent & { readonly type: 'response.refusal.done'; readonly refusal: string })
  | (OfItem & { readonly type: 'response.function_call_arguments.delta'; readonly delta: string })
  | (OfItem & {
      readonly type: 'response.function_call_arguments.done';
      readonly name: string;
      readonly arguments: string;
    })
  | (OfSummary & {
      readonly type: 'response.reasoning_summary_part.added' | 'response.reasoning_summary_part.done';
      readonly part: SummaryPart;
    })
  | (OfSummary & { readonly type: 'response.reasoning_summary_text.delta'; readonly delta: string })
  | (OfSummary & { readonly type: 'response.reasoning_summary_text.done'; readonly text: string })
  | (OfContent & { readonly type: 'response.reasoning_text.delta'; readonly delta: string })
  | (OfContent & { readonly type: 'response.reasoning_text.done'; readonly text: string })
  | (OfItem & {
      readonly type:
        | 'response.code_interpreter_call.in_progress'
        | 'response.code_interpreter_call.interpreting'
        | 'response.code_interpreter_call.completed';
    })
  | (OfItem & { readonly type: 'response.code_interpreter_call_code.delta'; readonly delta: string })
  | (OfItem & { readonly type: 'response.code_interpreter_call_code.done'; readonly code: string });

/** An event as it goes over the wire. */
export interface StreamEvent {
  readonly type: DraftEvent['type'];
  readonly sequence_number: number;
  readonly response?: ResponseObject;
  readonly item?: OutputItem;
  readonly [field: string]: unknown;
}
