/**
 * One turn of the model as items: opens and closes messages, reasoning, function calls and code
 * interpreter calls while deltas arrive (docs/contract/streaming.md). Runs nothing itself.
 */
import { newId } from '../../common/ids.js';
import { LlmError, type LlmEvent, type LlmFinish, type LlmToolCall, type LlmUsage } from '../../llm/llm.js';
import { PYTHON_TOOL } from '../context/python-prompt.js';
import type { DraftEvent, FunctionCallItem } from '../response.types.js';
import { CodeArguments } from './code-arguments.js';
import { type MessageHooks, MessageWriter } from './message-writer.js';
import { ReasoningWriter } from './reasoning-writer.js';

export interface PythonCall {
  readonly kind: 'python';
  readonly itemId: string;
  readonly containerId: string;
  readonly callId: string;
  readonly arguments: CodeArguments;
  code: string;
}

interface FunctionCall {
  readonly kind: 'function';
  readonly item: FunctionCallItem;
  arguments: string;
}

/** A python call the response may not make any more. */
interface DroppedCall {
  readonly kind: 'dropped';
  readonly callId: string;
  readonly name: string;
  arguments: string;
}

/** One call too many in a turn that may make one: as if the model had never made it. */
interface IgnoredCall {
  readonly kind: 'ignored';
  arguments: string;
}

type Call = PythonCall | FunctionCall | DroppedCall | IgnoredCall;

export interface TurnHooks extends MessageHooks {
  /** Called when the model begins a python call; null when it may make none any more. */
  readonly openContainer: () => Promise<string | null>;
  /** Show reasoning as summary parts (asked for by `reasoning.summary`) instead of as content. */
  readonly reasoningAsSummary: boolean;
  /** More than one call may be made (`parallel_tool_calls`). */
  readonly parallelCalls: boolean;
}

export interface TurnResult {
  readonly text: string;
  readonly reasoning: string;
  readonly python: readonly PythonCall[];
  readonly functions: readonly FunctionCallItem[];
  readonly dropped: readonly DroppedCall[];
  readonly toolCalls: readonly LlmToolCall[];
  readonly finish: LlmFinish;
  readonly usage: LlmUsage | null;
}

export class Turn {
  private readonly message: MessageWriter;
  private readonly reasoning: ReasoningWriter;
  private readonly calls = new Map<number, Call>();
  private heard = false;
  private end: Extract<LlmEvent, { type: 'finish' }> | null = null;

  constructor(private readonly hooks: TurnHooks) {
    this.message = new MessageWriter(hooks);
    this.reasoning = new ReasoningWriter(hooks.reasoningAsSummary);
  }

  /** Nothing was said and no tool called so far. */
  get isEmpty(): boolean {
    return !this.heard;
  }

  /** Consumes the model's stream; the result is complete when the generator has ended. */
  async *run(stream: AsyncIterable<LlmEvent>): AsyncGenerator<DraftEvent, TurnResult> {
    for await (const event of stream) {
      this.heard = true;
      yield* this.take(event);
    }
    if (!this.end) throw new LlmError('protocol', 'The model’s answer ended in the middle.');
    const status =
      this.end.reason === 'length' || this.end.reason === 'content_filter' ? 'incomplete' : 'completed';
    yield* this.reasoning.close();
    yield* this.message.close(status, this.calls.size === 0);
    yield* this.closeCalls();
    return this.result(this.end);
  }

  /** After a failure or an abort: closes what is open, so that every item ends. */
  async *abandon(): AsyncGenerator<DraftEvent> {
    yield* this.reasoning.close();
    yield* this.message.close('incomplete', false);
    for (const call of this.calls.values()) {
      if (call.kind === 'function')
        yield {
          type: 'response.output_item.done',
          item: { ...call.item, arguments: call.arguments, status: 'incomplete' },
        };
      if (call.kind === 'python') {
        const { code } = call.arguments.finish();
        yield {
          type: 'response.output_item.done',
          item: {
            id: call.itemId,
            type: 'code_interpreter_call',
            status: 'incomplete',
            code,
            container_id: call.containerId,
            outputs: [],
          },
        };
      }
    }
  }

  private async *take(event: LlmEvent): AsyncGenerator<DraftEvent> {
    switch (event.type) {
      case 'reasoning':
        yield* this.reasoning.take(event.delta);
        return;
      case 'text':
        yield* this.reasoning.close();
        yield* this.message.take('text', event.delta, event.logprobs);
        return;
      case 'refusal':
        yield* this.reasoning.close();
        yield* this.message.take('refusal', event.delta);
        return;
      case 'tool_call':
        yield* this.reasoning.close();
        yield* this.message.close('completed', false);
        yield* this.takeCall(event);
        return;
      case 'finish':
        this.end = event;
        return;
    }
  }

  private async *takeCall(event: Extract<LlmEvent, { type: 'tool_call' }>): AsyncGenerator<DraftEvent> {
    let call = this.calls.get(event.index);
    if (!call) {
      call = await this.openCall(event);
      this.calls.set(event.index, call);
      if (call.kind === 'python') {
        const { itemId: id, containerId } = call;
        yield {
          type: 'response.output_item.added',
          item: {
            id,
            type: 'code_interpreter_call',
            status: 'in_progress',
            code: '',
            container_id: containerId,
            outputs: [],
          },
        };
        yield { type: 'response.code_interpreter_call.in_progress', item_id: id };
      }
      if (call.kind === 'function') yield { type: 'response.output_item.added', item: call.item };
    }
    if (event.argumentsDelta === '') return;
    if (call.kind === 'python') {
      const delta = call.arguments.push(event.argumentsDelta);
      if (delta !== '')
        yield { type: 'response.code_interpreter_call_code.delta', item_id: call.itemId, delta };
      return;
    }
    call.arguments += event.argumentsDelta;
    if (call.kind === 'function') {
      yield {
        type: 'response.function_call_arguments.delta',
        item_id: call.item.id,
        delta: event.argumentsDelta,
      };
    }
  }

  private async openCall(event: Extract<LlmEvent, { type: 'tool_call' }>): Promise<Call> {
    if (!this.hooks.parallelCalls && this.calls.size > 0) return { kind: 'ignored', arguments: '' };
    const callId = event.callId ?? newId.call();
    const name = event.name ?? '';
    if (name !== PYTHON_TOOL) {
      return {
        kind: 'function',
        arguments: '',
        item: {
          id: newId.functionCall(),
          type: 'function_call',
          call_id: callId,
          name,
          arguments: '',
          status: 'in_progress',
        },
      };
    }
    const containerId = await this.hooks.openContainer();
    if (containerId === null) return { kind: 'dropped', callId, name, arguments: '' };
    return {
      kind: 'python',
      itemId: newId.codeInterpreterCall(),
      containerId,
      callId,
      arguments: new CodeArguments(),
      code: '',
    };
  }

  private async *closeCalls(): AsyncGenerator<DraftEvent> {
    for (const call of this.inOrder()) {
      if (call.kind === 'python') {
        const { code, rest } = call.arguments.finish();
        call.code = code;
        if (rest !== '')
          yield { type: 'response.code_interpreter_call_code.delta', item_id: call.itemId, delta: rest };
        yield { type: 'response.code_interpreter_call_code.done', item_id: call.itemId, code };
      }
      if (call.kind === 'function') {
        const item: FunctionCallItem = { ...call.item, arguments: call.arguments, status: 'completed' };
        yield {
          type: 'response.function_call_arguments.done',
          item_id: item.id,
          name: item.name,
          arguments: item.arguments,
        };
        yield { type: 'response.output_item.done', item };
      }
    }
  }

  private inOrder(): Call[] {
    return [...this.calls.entries()].sort(([a], [b]) => a - b).map(([, call]) => call);
  }

  private result(end: Extract<LlmEvent, { type: 'finish' }>): TurnResult {
    const calls = this.inOrder().filter((call) => call.kind !== 'ignored');
    const toolCalls = calls.map((call): LlmToolCall => {
      if (call.kind === 'python')
        return { callId: call.callId, name: PYTHON_TOOL, arguments: JSON.stringify({ code: call.code }) };
      if (call.kind === 'function')
        return { callId: call.item.call_id, name: call.item.name, arguments: call.arguments };
      return { callId: call.callId, name: call.name, arguments: call.arguments };
    });
    return {
      text: this.message.text,
      reasoning: this.reasoning.text,
      python: calls.filter((call) => call.kind === 'python'),
      functions: calls.flatMap((call) =>
        call.kind === 'function'
          ? [{ ...call.item, arguments: call.arguments, status: 'completed' as const }]
          : [],
      ),
      dropped: calls.filter((call) => call.kind === 'dropped'),
      toolCalls,
      finish: end.reason,
      usage: end.usage,
    };
  }
}
