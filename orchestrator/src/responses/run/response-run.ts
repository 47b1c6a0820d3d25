/**
 * The loop of one response: model → python → model → … until it answers, calls a client's function,
 * or a limit ends it. Produces drafts; numbering, storing and showing are other people's work.
 */
import { setImmediate as breathe } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { ApiError } from '../../common/api-error.js';
import type { ExecutionService } from '../../containers/execution.service.js';
import type { ContainerFileRow } from '../../containers/container-files.service.js';
import { LlmError, type LlmMessage, type LlmRequest, type LlmTool } from '../../llm/llm.js';
import type { Model } from '../../llm/model.registry.js';
import type { ResponseContainer } from '../container/response-container.js';
import type { Fit } from '../context/context-window.js';
import type { DraftEvent } from '../response.types.js';
import { cite } from './citations.js';
import { MessageWriter } from './message-writer.js';
import { runPythonCall } from './python-tool.js';
import { RunEnded } from './run-ended.js';
import { firstChoice, laterChoice } from './tool-choice.js';
import { PYTHON_TOOL } from '../context/python-prompt.js';
import { Turn, type TurnResult } from './turn.js';
import type { RunDraft, TurnEnded, UsageCounts } from '../record/turn-end.js';
import { UsageMeter } from './usage.js';

/** Turns of one response; a model that never comes to an end is stopped here. */
const MAX_TURNS = 64;

export interface RunInput {
  readonly responseId: string;
  readonly model: Model;
  readonly background: boolean;
  /** Everything but messages, tools and tool choice, which change from turn to turn. */
  readonly base: Omit<LlmRequest, 'messages' | 'tools' | 'toolChoice'>;
  readonly messages: readonly LlmMessage[];
  readonly tools: readonly LlmTool[];
  readonly toolChoice: unknown;
  readonly maxToolCalls: number | null;
  readonly reasoningAsSummary: boolean;
  /** Set when old messages may be left out to make room (`truncation: "auto"`). */
  readonly fit: Fit | null;
  /** Null when the request has no code_interpreter tool. */
  readonly container: ResponseContainer | null;
  readonly executions: ExecutionService;
  readonly imageUrl: ((file: ContainerFileRow) => Promise<string | null>) | null;
  readonly signal: AbortSignal;
  /** Set when an earlier process began this run. */
  readonly resumed: Resumed | null;
}

/** What is left to do of a run that a crash cut off. */
export interface Resumed {
  /** Ends of the items that were open. */
  readonly closings: readonly DraftEvent[];
  /** What the model said and got so far in this response. */
  readonly messages: readonly LlmMessage[];
  /** Python calls made so far. */
  readonly calls: number;
  /** Turns of the model that have ended. */
  readonly turns: number;
  /** Ids of the items that count. */
  readonly items: readonly string[];
  /** Ids of the items that do not: what was said in a turn that was cut off. */
  readonly dropped: readonly string[];
  /** Tokens of the turns that have ended; absent when nobody wrote them down. */
  readonly usage: UsageCounts | undefined;
  /** Set when nothing but the terminal event is missing. */
  readonly end: 'completed' | 'max_output_tokens' | 'content_filter' | null;
}

const logger = new Logger('ResponseRun');

const SERVER_ERROR = {
  code: 'server_error',
  message: 'The server had an error while running this response. Please retry.',
};

/** In the words of `Response.error.code` (docs/contract/responses.md). */
const LLM_CODES: Readonly<Record<LlmError['code'], string>> = {
  unavailable: 'server_error',
  rate_limited: 'rate_limit_exceeded',
  rejected: 'server_error',
  context_length_exceeded: 'context_length_exceeded',
  protocol: 'server_error',
};

const API_CODES: Readonly<Record<number, string>> = { 429: 'rate_limit_exceeded' };

/** A sentence for the caller; internal details are logged, not returned. */
function describe(error: unknown, responseId: string): { code: string; message: string } {
  if (error instanceof LlmError) {
    return { code: LLM_CODES[error.code], message: error.message };
  }
  if (error instanceof ApiError && error.family !== 'bug') {
    const code = error.code === 'context_length_exceeded' ? error.code : API_CODES[error.status];
    return { code: code ?? 'server_error', message: error.message };
  }
  logger.error({ err: error, responseId }, 'a response failed');
  return SERVER_ERROR;
}

export class ResponseRun {
  private readonly usage: UsageMeter;
  private messages: LlmMessage[];
  private calls: number;
  /** Ids of the items of this response. */
  private readonly items: string[];
  private turn: Turn | null = null;

  constructor(private readonly input: RunInput) {
    const { resumed } = input;
    this.usage = new UsageMeter(resumed?.usage);
    this.messages = [...input.messages, ...(resumed?.messages ?? [])];
    this.calls = resumed?.calls ?? 0;
    this.items = [...(resumed?.items ?? [])];
  }

  /** From `response.created` to the terminal event; never throws. */
  async *events(): AsyncGenerator<RunDraft> {
    if (this.input.resumed) {
      yield* this.input.resumed.closings;
    } else {
      yield { type: 'response.created' };
      if (this.input.background) yield { type: 'response.queued' };
      yield { type: 'response.in_progress' };
      // What was said so far leaves before the model is asked, which is work; so it is for a crowd, too.
      await breathe();
    }
    const letGo = this.input.container?.keepAlive();
    try {
      for await (const draft of this.loop()) {
        if (draft.type === 'response.output_item.added') this.items.push(draft.item.id);
        yield draft;
      }
    } catch (error) {
      if (this.turn) yield* this.turn.abandon();
      yield this.failure(error);
    } finally {
      letGo?.();
    }
  }

  /** Aborted is cancelled, unless whoever aborted it says what went wrong. */
  private failure(thrown: unknown): DraftEvent {
    const { signal, responseId } = this.input;
    const usage = this.usage.total();
    if (!signal.aborted)
      return { type: 'response.failed', status: 'failed', error: describe(thrown, responseId), usage };
    const reason: unknown = signal.reason;
    if (reason instanceof RunEnded)
      return {
        type: 'response.failed',
        status: 'failed',
        error: { code: 'server_error', message: reason.message },
        usage,
      };
    return { type: 'response.failed', status: 'cancelled', error: null, usage };
  }

  private async *loop(): AsyncGenerator<RunDraft> {
    const { resumed, signal } = this.input;
    if (resumed?.end) {
      yield this.ending(resumed.end);
      return;
    }
    for (let number = resumed?.turns ?? 0; number < MAX_TURNS; number += 1) {
      signal.throwIfAborted();
      const result = yield* this.oneTurn(number);
      this.turn = null;
      this.usage.add(result.usage);
      this.remember(result);
      const ended = this.ended(number, result);
      yield ended;
      if (result.finish === 'length' || result.finish === 'content_filter') {
        yield* this.endItems(result);
        yield* this.citeTheRest();
        yield this.ending(result.finish === 'length' ? 'max_output_tokens' : 'content_filter');
        return;
      }
      yield* this.runPython(result);
      if (!ended.turn.goesOn) {
        yield* this.citeTheRest();
        yield this.ending('completed');
        return;
      }
    }
    throw new LlmError('protocol', `The model did not come to an end within ${MAX_TURNS} turns.`);
  }

  private ending(end: NonNullable<Resumed['end']>): DraftEvent {
    const usage = this.usage.total();
    return end === 'completed'
      ? { type: 'response.completed', usage }
      : { type: 'response.incomplete', reason: end, usage };
  }

  private ended(number: number, { finish, functions, python, dropped }: TurnResult): TurnEnded {
    const isCut = finish === 'length' || finish === 'content_filter';
    const goesOn = !isCut && functions.length === 0 && python.length + dropped.length > 0;
    const turn = {
      turns: number + 1,
      finish,
      goesOn,
      items: [...this.items],
      usage: this.usage.counts(),
    };
    return { type: 'turn.ended', turn };
  }

  /** One answer of the model; asked again with less when that was too much and may be left out. */
  private async *oneTurn(number: number): AsyncGenerator<DraftEvent, TurnResult> {
    const { fit, model, signal } = this.input;
    if (fit) this.messages = await fit.truncate(this.messages);
    for (;;) {
      const turn = this.newTurn();
      this.turn = turn;
      try {
        return yield* turn.run(model.llm.stream(this.request(number), signal));
      } catch (error) {
        const isTooLong = error instanceof LlmError && error.code === 'context_length_exceeded';
        const fewer = isTooLong && turn.isEmpty ? fit?.halve(this.messages) : null;
        if (!fewer) throw error;
        this.messages = fewer;
      }
    }
  }

  /** Every file is cited, also when the model ends without a word of its own. */
  private async *citeTheRest(): AsyncGenerator<DraftEvent> {
    const citations = await this.citations('', true);
    if (citations.length > 0) yield* new MessageWriter({ citations: async () => citations }).silent();
  }

  private newTurn(): Turn {
    return new Turn({
      parallelCalls: this.input.base.parallelToolCalls,
      reasoningAsSummary: this.input.reasoningAsSummary,
      openContainer: () => this.openContainer(),
      citations: (text, final) => this.citations(text, final),
    });
  }

  private get mayCallPython(): boolean {
    return (
      this.input.container !== null && this.calls < (this.input.maxToolCalls ?? Number.POSITIVE_INFINITY)
    );
  }

  private async openContainer(): Promise<string | null> {
    if (!this.mayCallPython || !this.input.container) return null;
    this.calls += 1;
    return (await this.input.container.usable()).id;
  }

  private async citations(text: string, final: boolean) {
    const { container } = this.input;
    if (!container?.exists) return [];
    const citations = cite(text, await container.linkableFiles(), final ? container.touchedFiles() : []);
    container.noteCited(citations.map(({ file_id }) => file_id));
    return citations;
  }

  private request(turn: number): LlmRequest {
    const tools = this.mayCallPython
      ? this.input.tools
      : this.input.tools.filter((tool) => tool.name !== PYTHON_TOOL);
    const choice = turn === 0 ? firstChoice(this.input.toolChoice) : laterChoice(this.input.toolChoice);
    const { maxOutputTokens } = this.input.base;
    return {
      ...this.input.base,
      maxOutputTokens:
        maxOutputTokens === undefined ? undefined : Math.max(1, maxOutputTokens - this.usage.outputTokens),
      messages: this.messages,
      tools,
      toolChoice: tools.length === 0 ? { type: 'none' } : choice,
    };
  }

  private remember(result: TurnResult): void {
    if (result.text === '' && result.toolCalls.length === 0) return;
    this.messages.push({
      role: 'assistant',
      text: result.text,
      reasoning: result.reasoning || undefined,
      toolCalls: result.toolCalls,
    });
  }

  private async *runPython(result: TurnResult): AsyncGenerator<DraftEvent> {
    const { container, executions, responseId, signal, imageUrl } = this.input;
    for (const call of result.python) {
      if (!container) throw new Error('a python call without a container');
      this.messages.push(
        yield* runPythonCall(call, { executions, context: container, responseId, signal, imageUrl }),
      );
      signal.throwIfAborted();
    }
    for (const call of result.dropped) {
      this.messages.push({
        role: 'tool',
        callId: call.callId,
        parts: [
          {
            type: 'text',
            text: 'The limit of tool calls for this response is reached. Answer with what you have.',
          },
        ],
      });
    }
  }

  /** Calls that a limit cut off are not run. */
  private async *endItems(result: TurnResult): AsyncGenerator<DraftEvent> {
    for (const call of result.python) {
      yield {
        type: 'response.output_item.done',
        item: {
          id: call.itemId,
          type: 'code_interpreter_call',
          status: 'incomplete',
          code: call.code,
          container_id: call.containerId,
          outputs: [],
        },
      };
    }
  }
}
