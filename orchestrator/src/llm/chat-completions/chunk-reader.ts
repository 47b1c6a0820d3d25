/**
 * Chunks of a chat completion → LlmEvents, for every dialect we know of (test/fixtures/llm). Pure: no
 * clock, no network. One reader serves one answer.
 */
import type { LlmEvent, LlmFinish, LlmUsage } from '../llm.js';
import { readLogprobs } from './logprobs.js';
import { ThinkTags } from './think-tags.js';
import { ToolCallReader } from './tool-call-reader.js';
import { UpstreamFault } from './upstream-fault.js';
import { estimateTokens, readUsage } from './usage.js';

export interface ChunkReaderOptions {
  /** See the setting `reasoning_tags`. */
  readonly reasoningTags?: boolean | 'implied' | undefined;
  /** Call ids that this conversation has used already. */
  readonly takenCallIds?: ReadonlySet<string> | undefined;
  /** Tokens of the input, asked for only when the endpoint reports no usage. */
  readonly estimateInput?: (() => number) | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

const FINISH: Readonly<Record<string, LlmFinish>> = {
  length: 'length',
  max_tokens: 'length',
  model_length: 'length',
  content_filter: 'content_filter',
  safety: 'content_filter',
};

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** Codes that say in words what a status says in numbers. */
const STATUS_OF_CODE: Readonly<Record<string, number>> = {
  rate_limit_exceeded: 429,
  insufficient_quota: 429,
  invalid_api_key: 401,
  model_not_found: 404,
  context_length_exceeded: 400,
  exceed_context_size_error: 400,
  invalid_request_error: 400,
};

/** An error inside a stream. Without a status that makes sense it is the endpoint's own fault. */
function faultOf(error: unknown): UpstreamFault {
  const fields: Fields = isFields(error) ? error : { message: error };
  const code = text(fields['code']) || text(fields['type']);
  const number = Number(fields['code'] ?? fields['status_code']);
  const status = number >= 400 && number < 600 ? number : (STATUS_OF_CODE[code] ?? 502);
  const message = text(fields['message']);
  return new UpstreamFault({ kind: 'status', status, code: code || null, message, retryAfterMs: null });
}

/** They belong to the text of the same chunk; what has no text has no use for them. */
function addLogprobs(events: LlmEvent[], value: unknown): void {
  const logprobs = readLogprobs(value);
  const index = events.findLastIndex(({ type }) => type === 'text');
  const event = events[index];
  if (event?.type === 'text' && logprobs.length > 0) events[index] = { ...event, logprobs };
}

export class ChunkReader {
  private readonly tags: ThinkTags | null;
  private readonly calls: ToolCallReader;
  private reason: string | null = null;
  private usage: LlmUsage | null = null;
  private characters = 0;
  private heard = false;

  constructor(private readonly options: ChunkReaderOptions = {}) {
    const { reasoningTags } = options;
    this.tags = reasoningTags ? new ThinkTags(reasoningTags === 'implied') : null;
    this.calls = new ToolCallReader(options.takenCallIds ?? new Set());
  }

  /** The answer is complete but for the usage, which may still come. */
  get finished(): boolean {
    return this.reason !== null;
  }

  /** Takes one chunk, parsed. Throws UpstreamFault when it is an error or no chunk at all. */
  push(chunk: unknown): LlmEvent[] {
    if (!isFields(chunk)) throw new UpstreamFault({ kind: 'garbage', what: 'a chunk that is no object' });
    if (chunk['error']) throw faultOf(chunk['error']);
    if (chunk['object'] === 'error') throw faultOf(chunk);
    this.heard = true;
    // Some report it in every chunk, counted up: the last one holds.
    this.usage = readUsage(chunk['usage']) ?? this.usage;
    const choices: unknown = chunk['choices'];
    const choice: unknown = Array.isArray(choices) ? choices[0] : undefined;
    if (!isFields(choice)) return [];
    // An endpoint that does not stream answers with a `message`.
    const delta = choice['delta'] ?? choice['message'];
    const events = isFields(delta) ? this.delta(delta) : [];
    addLogprobs(events, choice['logprobs']);
    this.finish(choice);
    return events;
  }

  /** The stream is over; `done` says whether the endpoint said so itself. The last event is `finish`. */
  end(done: boolean): LlmEvent[] {
    if (!this.heard || (this.reason === null && !done)) throw new UpstreamFault({ kind: 'cut' });
    const events: LlmEvent[] = [...(this.tags?.end() ?? []), ...this.calls.end()];
    this.weigh(events);
    events.push({ type: 'finish', reason: this.finishReason(), usage: this.usage ?? this.guess() });
    return events;
  }

  private delta(delta: Fields): LlmEvent[] {
    const events: LlmEvent[] = [];
    // Where both names are sent, they carry the same text.
    const reasoning = text(delta['reasoning_content']) || text(delta['reasoning']);
    if (reasoning !== '') events.push({ type: 'reasoning', delta: reasoning });
    this.content(delta['content'], events);
    const refusal = text(delta['refusal']);
    if (refusal !== '') events.push({ type: 'refusal', delta: refusal });
    if (Array.isArray(delta['tool_calls']) && delta['tool_calls'].length > 0) {
      events.push(...(this.tags?.end() ?? []), ...this.calls.push(delta['tool_calls']));
    }
    this.weigh(events);
    return events;
  }

  /** Text, or a list of parts as some reasoning models send it. */
  private content(content: unknown, events: LlmEvent[]): void {
    if (Array.isArray(content)) {
      for (const part of content.filter(isFields)) {
        if (part['type'] === 'thinking' && Array.isArray(part['thinking'])) {
          const delta = part['thinking']
            .map((each: unknown) => (isFields(each) ? text(each['text']) : ''))
            .join('');
          if (delta !== '') events.push({ type: 'reasoning', delta });
        } else {
          this.content(part['text'], events);
        }
      }
      return;
    }
    const delta = text(content);
    if (delta === '') return;
    if (this.tags) events.push(...this.tags.push(delta));
    else events.push({ type: 'text', delta });
  }

  private finish(choice: Fields): void {
    const reason = text(choice['finish_reason']);
    if (reason === '') return;
    if (reason === 'error') {
      const message = text(choice['native_finish_reason']);
      throw new UpstreamFault({ kind: 'status', status: 502, code: null, message, retryAfterMs: null });
    }
    this.reason = reason;
  }

  /** Not every endpoint says `tool_calls` when it called some. */
  private finishReason(): LlmFinish {
    return FINISH[(this.reason ?? 'stop').toLowerCase()] ?? (this.calls.any ? 'tool_calls' : 'stop');
  }

  private weigh(events: readonly LlmEvent[]): void {
    for (const event of events) {
      if (event.type === 'tool_call') this.characters += event.argumentsDelta.length;
      else if (event.type !== 'finish') this.characters += event.delta.length;
    }
  }

  /** The endpoint reported no usage; an estimate is better for quotas and limits than nothing. */
  private guess(): LlmUsage {
    return {
      inputTokens: this.options.estimateInput?.() ?? 0,
      cachedTokens: 0,
      outputTokens: estimateTokens(this.characters),
      reasoningTokens: 0,
    };
  }
}
