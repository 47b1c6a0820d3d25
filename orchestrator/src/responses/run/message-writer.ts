/** Writes what a model says as messages of one part each: text with its citations, or a refusal. */
import { newId } from '../../common/ids.js';
import type { LlmLogprob } from '../../llm/llm.js';
import type {
  ContainerFileCitation,
  DraftEvent,
  MessageItem,
  OutputTextPart,
  RefusalPart,
} from '../response.types.js';

export interface MessageHooks {
  /** Called when a message is complete; `final` when the turn called no tool. */
  readonly citations: (text: string, final: boolean) => Promise<readonly ContainerFileCitation[]>;
}

interface OpenMessage {
  readonly id: string;
  readonly kind: 'text' | 'refusal';
  readonly logprobs: LlmLogprob[];
  text: string;
}

const messageItem = (
  id: string,
  status: MessageItem['status'],
  content: MessageItem['content'],
): MessageItem => ({ id, type: 'message', status, role: 'assistant', content });

export class MessageWriter {
  private open: OpenMessage | null = null;
  private spoken = '';

  constructor(private readonly hooks: MessageHooks) {}

  /** Text of all messages that were closed so far. */
  get text(): string {
    return this.spoken;
  }

  async *take(
    kind: OpenMessage['kind'],
    delta: string,
    logprobs: readonly LlmLogprob[] = [],
  ): AsyncGenerator<DraftEvent> {
    if (delta === '') return;
    if (this.open && this.open.kind !== kind) yield* this.close('completed', false);
    if (!this.open) yield* this.begin(kind);
    const { open } = this;
    if (!open) return;
    open.text += delta;
    open.logprobs.push(...logprobs);
    yield kind === 'refusal'
      ? { type: 'response.refusal.delta', item_id: open.id, content_index: 0, delta }
      : { type: 'response.output_text.delta', item_id: open.id, content_index: 0, delta, logprobs };
  }

  async *close(status: MessageItem['status'], final: boolean): AsyncGenerator<DraftEvent> {
    const { open } = this;
    if (!open) return;
    this.open = null;
    const { id, text, logprobs } = open;
    if (open.kind === 'refusal') {
      const part = { type: 'refusal' as const, refusal: text };
      yield { type: 'response.refusal.done', item_id: id, content_index: 0, refusal: text };
      yield { type: 'response.content_part.done', item_id: id, content_index: 0, part };
      yield { type: 'response.output_item.done', item: messageItem(id, status, [part]) };
      return;
    }
    this.spoken += text;
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
    const part = { type: 'output_text' as const, text, annotations, logprobs };
    yield { type: 'response.output_text.done', item_id: id, content_index: 0, text, logprobs };
    yield { type: 'response.content_part.done', item_id: id, content_index: 0, part };
    yield { type: 'response.output_item.done', item: messageItem(id, status, [part]) };
  }

  /** A message without words, for citations that nothing else could carry. */
  async *silent(): AsyncGenerator<DraftEvent> {
    yield* this.begin('text');
    yield* this.close('completed', true);
  }

  private *begin(kind: OpenMessage['kind']): Generator<DraftEvent> {
    const id = newId.message();
    this.open = { id, kind, text: '', logprobs: [] };
    yield { type: 'response.output_item.added', item: messageItem(id, 'in_progress', []) };
    const part: OutputTextPart | RefusalPart =
      kind === 'refusal'
        ? { type: 'refusal', refusal: '' }
        : { type: 'output_text', annotations: [], logprobs: [], text: '' };
    yield { type: 'response.content_part.added', item_id: id, content_index: 0, part };
  }
}
