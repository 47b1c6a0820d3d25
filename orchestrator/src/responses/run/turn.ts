/**
 * One turn of the model as items: opens and closes messages, reasoning, function calls and code
 * interpreter calls while deltas arrive (event order: contract §3.3). Runs nothing itself.
 */
import { newId } from '../../common/ids.js';
import { LlmError, type LlmEvent, type LlmFinish, type LlmToolCall, type LlmUsage } from '../../llm/llm.js';
import type {
  ContainerFileCitation,
  DraftEvent,
  FunctionCallItem,
  MessageItem,
  ReasoningItem,
} from '../response.types.js';
import { CodeArguments } from './code-arguments.js';

export const PYTHON_TOOL = 'python';

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

type Call = PythonCall | FunctionCall | DroppedCall;

export interface TurnHooks {
  /** Called when the model begins a python call; null when it may make none any more. */
  readonly openContainer: () => Promise<string | null>;
  /** Called when a message is complete; `final` when the turn called no tool. */
  readonly citations: (text: string, final: boolean) => Promise<readonly ContainerFileCitation[]>;
  /** Show reasoning as summary parts (asked for by `reasoning.summary`) instead of as content. */
  readonly reasoningAsSummary: boolean;
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

interface OpenMessage {
  readonly id: string;
  text: string;
  refusal: string;
}

export class Turn {
  private message: OpenMessage | null = null;
  private reasoning: { id: string; text: string } | null = null;
  private readonly calls = new Map<number, Call>();
  private spoken = '';
  private thought = '';
  private end: Extract<LlmEvent, { type: 'finish' }> | null = null;

  constructor(private readonly hooks: TurnHooks) {}

  /** Consumes the model's stream; the result is complete when the generator has ended. */
  async *run(stream: AsyncIterable<LlmEvent>): AsyncGenerator<DraftEvent, TurnResult> {
    for await (const event of stream) yield* this.take(event);
    if (!this.end) throw new LlmError('protocol', 'The model’s answer ended in the middle.');
    const status =
      this.end.reason === 'length' || this.end.reason === 'content_filter' ? 'incomplete' : 'completed';
    yield* this.closeReasoning();
    yield* this.closeMessage(status, this.calls.size === 0);
    yield* this.closeCalls();
    return this.result(this.end);
  }

  /** After a failure or an abort: closes what is open, so that every item ends. */
  async *abandon(): AsyncGenerator<DraftEvent> {
    yield* this.closeReasoning();
    yield* this.closeMessage('incomplete', false);
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
        yield* this.takeReasoning(event.delta);
        return;
      case 'text':
      case 'refusal':
        yield* this.closeReasoning();
        yield* this.takeText(event.type, event.delta);
        return;
      case 'tool_call':
        yield* this.closeReasoning();
        yield* this.closeMessage('completed', false);
        yield* this.takeCall(event);
        return;
      case 'finish':
        this.end = event;
        return;
    }
  }

  private async *takeReasoning(delta: string): AsyncGenerator<DraftEvent> {
    if (delta === '') return;
    if (!this.reasoning) {
      this.reasoning = { id: newId.reasoning(), text: '' };
      const { id } = this.reasoning;
      yield { type: 'response.output_item.added', item: { id, type: 'reasoning', summary: [] } };
      if (this.hooks.reasoningAsSummary) {
        yield {
          type: 'response.reasoning_summary_part.added',
          item_id: id,
          summary_index: 0,
          part: { type: 'summary_text', text: '' },
        };
      }
    }
    this.reasoning.text += delta;
    yield this.hooks.reasoningAsSummary
      ? { type: 'response.reasoning_summary_text.delta', item_id: this.reasoning.id, summary_index: 0, delta }
      : { type: 'response.reasoning_text.delta', item_id: this.reasoning.id, content_index: 0, delta };
  }

  private async *closeReasoning(): AsyncGenerator<DraftEvent> {
    const open = this.reasoning;
    if (!open) return;
    this.reasoning = null;
    this.thought += open.text;
    const { id, text } = open;
    if (!this.hooks.reasoningAsSummary) {
      yield { type: 'response.reasoning_text.done', item_id: id, content_index: 0, text };
      const item: ReasoningItem = {
        id,
        type: 'reasoning',
        summary: [],
        content: [{ type: 'reasoning_text', text }],
      };
      yield { type: 'response.output_item.done', item };
      return;
    }
    const part = { type: 'summary_text' as const, text };
    yield { type: 'response.reasoning_summary_text.done', item_id: id, summary_index: 0, text };
    yield { type: 'response.reasoning_summary_part.done', item_id: id, summary_index: 0, part };
    yield { type: 'response.output_item.done', item: { id, type: 'reasoning', summary: [part] } };
  }

  private async *takeText(kind: 'text' | 'refusal', delta: string): AsyncGenerator<DraftEvent> {
    if (delta === '') return;
    if (this.message && (kind === 'refusal') !== this.message.refusal.length > 0)
      yield* this.closeMessage('completed', false);
    if (!this.message) {
      this.message = { id: newId.message(), text: '', refusal: '' };
      const item: MessageItem = {
        id: this.message.id,
        type: 'message',
        status: 'in_progress',
        role: 'assistant',
        content: [],
      };
      yield { type: 'response.output_item.added', item };
      const part =
        kind === 'refusal'
          ? { type: 'refusal', refusal: '' }
          : { type: 'output_text', annotations: [], logprobs: [], text: '' };
      yield { type: 'response.content_part.added', item_id: this.message.id, content_index: 0, part };
    }
    const { id } = this.message;
    if (kind === 'refusal') {
      this.message.refusal += delta;
      yield { type: 'response.refusal.delta', item_id: id, content_index: 0, delta };
    } else {
      this.message.text += delta;
      yield { type: 'response.output_text.delta', item_id: id, content_index: 0, delta, logprobs: [] };
    }
  }

  private async *closeMessage(status: MessageItem['status'], final: boolean): AsyncGenerator<DraftEvent> {
    const open = this.message;
    if (!open) return;
    this.message = null;
    this.spoken += open.text;
    const { id, text, refusal } = open;
    if (refusal !== '') {
      const part = { type: 'refusal' as const, refusal };
      yield { type: 'response.refusal.done', item_id: id, content_index: 0, refusal };
      yield { type: 'response.content_part.done', item_id: id, content_index: 0, part };
      yield {
        type: 'response.output_item.done',
        item: { id, type: 'message', status, role: 'assistant', content: [part] },
      };
      return;
    }
    const annotations = await this.hooks.citations(text, final);
    for (const [annotation_index, annotation] of annotations.entries()) {
      yield {
        type: 'response.output_text.annotation.added',
        item_id: id,
        content_index: 0,
        annotation_index,
        annotation,
      };
    }
    const part = { type: 'output_text' as const, text, annotations, logprobs: [] };
    yield { type: 'response.output_text.done', item_id: id, content_index: 0, text, logprobs: [] };
    yield { type: 'response.content_part.done', item_id: id, content_index: 0, part };
    yield {
      type: 'response.output_item.done',
      item: { id, type: 'message', status, role: 'assistant', content: [part] },
    };
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
    const calls = this.inOrder();
    const toolCalls = calls.map((call): LlmToolCall => {
      if (call.kind === 'python')
        return { callId: call.callId, name: PYTHON_TOOL, arguments: JSON.stringify({ code: call.code }) };
      if (call.kind === 'function')
        return { callId: call.item.call_id, name: call.item.name, arguments: call.arguments };
      return { callId: call.callId, name: call.name, arguments: call.arguments };
    });
    return {
      text: this.spoken,
      reasoning: this.thought,
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
