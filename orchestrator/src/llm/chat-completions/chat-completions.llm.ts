/**
 * The adapter for every endpoint that speaks chat completions: one turn is one streamed request, tried
 * again while nothing of its answer was passed on.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { Llm, type LlmEvent, type LlmRequest } from '../llm.js';
import { ChunkReader } from './chunk-reader.js';
import type { Endpoint } from './endpoint.js';
import { type BodySettings, toBody } from './request-body.js';
import { SseReader } from './sse-reader.js';
import { judge, UpstreamFault, type Verdict } from './upstream-fault.js';
import { estimateInput } from './usage.js';

export interface ChatModelSettings extends BodySettings {
  /** As clients name it. */
  readonly model: string;
  readonly reasoningTags?: boolean | 'implied' | undefined;
}

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8_000;
/** An endpoint that wants a longer pause is not waited for: the caller is told. */
const LONGEST_RETRY_AFTER_MS = 30_000;
/** How long the usage may lag behind the end of the answer. */
const USAGE_WAIT_MS = 3_000;
const MAX_JSON_CHARACTERS = 32 * 1024 * 1024;

/** Milliseconds before the next attempt; null when there should be none. */
export function waitBefore(
  attempt: number,
  verdict: Pick<Verdict, 'retry' | 'retryAfterMs'>,
  maxRetries: number,
  random = Math.random,
): number | null {
  if (!verdict.retry || attempt >= maxRetries) return null;
  if (verdict.retryAfterMs !== null)
    return verdict.retryAfterMs > LONGEST_RETRY_AFTER_MS ? null : verdict.retryAfterMs;
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt) * (0.75 + random() / 4);
}

function parse(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    throw new UpstreamFault({ kind: 'garbage', what: 'not JSON' });
  }
}

const takenCallIds = (request: LlmRequest): Set<string> =>
  new Set(
    request.messages.flatMap((message) =>
      message.role === 'assistant' ? message.toolCalls.map((call) => call.callId) : [],
    ),
  );

export class ChatCompletionsLlm extends Llm {
  private readonly logger = new Logger(ChatCompletionsLlm.name);

  constructor(
    private readonly endpoint: Endpoint,
    private readonly settings: ChatModelSettings,
  ) {
    super();
  }

  async *stream(request: LlmRequest, signal: AbortSignal): AsyncIterable<LlmEvent> {
    for (let attempt = 0; ; attempt += 1) {
      let passedOn = false;
      try {
        for await (const event of this.attempt(request, signal)) {
          passedOn = true;
          yield event;
        }
        return;
      } catch (error) {
        signal.throwIfAborted();
        const wait = this.waitAfter(error, attempt, passedOn);
        if (wait.ms === null) throw wait.verdict.error;
        await sleep(wait.ms, undefined, { signal }).catch(() => {});
        signal.throwIfAborted();
      }
    }
  }

  private waitAfter(
    error: unknown,
    attempt: number,
    passedOn: boolean,
  ): { readonly ms: number | null; readonly verdict: Verdict } {
    const names = { provider: this.endpoint.name, model: this.settings.model };
    const verdict = judge(error, names, this.endpoint.redact);
    const ms = passedOn ? null : waitBefore(attempt, verdict, this.endpoint.maxRetries);
    const reason =
      error instanceof UpstreamFault && error.fault.kind === 'connection' ? error.fault.reason : undefined;
    this.logger.warn(
      { ...names, code: verdict.error.code, reason, attempt: attempt + 1, retryInMs: ms },
      verdict.error.message,
    );
    return { ms, verdict };
  }

  private async *attempt(request: LlmRequest, signal: AbortSignal): AsyncGenerator<LlmEvent> {
    const reply = await this.endpoint.open(toBody(request, this.settings), signal);
    const chunks = new ChunkReader({
      reasoningTags: this.settings.reasoningTags,
      takenCallIds: takenCallIds(request),
      estimateInput: () => estimateInput(request.messages),
    });
    if (!reply.body) throw new UpstreamFault({ kind: 'cut' });
    const sse = new SseReader(reply.body, this.endpoint.timeoutMs, signal);
    const isJson = /^application\/json\b/i.test(reply.headers.get('content-type') ?? '');
    if (isJson) yield* this.whole(sse, chunks);
    else yield* this.streamed(sse, chunks);
  }

  private async *streamed(sse: SseReader, chunks: ChunkReader): AsyncGenerator<LlmEvent> {
    let done = false;
    for await (const { event, data } of sse.messages()) {
      if (data.trim() === '[DONE]') {
        done = true;
        break;
      }
      const chunk = parse(data);
      yield* chunks.push(
        event === 'error' ? { error: (chunk as { error?: unknown }).error ?? chunk } : chunk,
      );
      if (chunks.finished) sse.closeSoon(USAGE_WAIT_MS);
    }
    yield* chunks.end(done);
  }

  /** An endpoint that does not stream answers with one JSON object. */
  private async *whole(sse: SseReader, chunks: ChunkReader): AsyncGenerator<LlmEvent> {
    let text = '';
    for await (const piece of sse.pieces()) {
      text += piece;
      if (text.length > MAX_JSON_CHARACTERS)
        throw new UpstreamFault({ kind: 'garbage', what: 'an endless answer' });
    }
    yield* chunks.push(parse(text));
    yield* chunks.end(true);
  }
}
