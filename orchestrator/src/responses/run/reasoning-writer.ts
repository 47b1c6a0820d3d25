/** Writes what a model thinks as one item: as a summary if one was asked for, else as content. */
import { newId } from '../../common/ids.js';
import type { DraftEvent, ReasoningItem } from '../response.types.js';

export class ReasoningWriter {
  private open: { id: string; text: string } | null = null;
  private thought = '';

  constructor(private readonly asSummary: boolean) {}

  /** Everything that was closed so far. */
  get text(): string {
    return this.thought;
  }

  *take(delta: string): Generator<DraftEvent> {
    if (delta === '') return;
    if (!this.open) {
      const id = newId.reasoning();
      this.open = { id, text: '' };
      yield { type: 'response.output_item.added', item: { id, type: 'reasoning', summary: [] } };
      const text = '';
      // The official clients' helpers refuse a delta whose part was not announced.
      yield this.asSummary
        ? {
            type: 'response.reasoning_summary_part.added',
            item_id: id,
            summary_index: 0,
            part: { type: 'summary_text', text },
          }
        : {
            type: 'response.content_part.added',
            item_id: id,
            content_index: 0,
            part: { type: 'reasoning_text', text },
          };
    }
    this.open.text += delta;
    const { id } = this.open;
    yield this.asSummary
      ? { type: 'response.reasoning_summary_text.delta', item_id: id, summary_index: 0, delta }
      : { type: 'response.reasoning_text.delta', item_id: id, content_index: 0, delta };
  }

  *close(): Generator<DraftEvent> {
    if (!this.open) return;
    const { id, text } = this.open;
    this.open = null;
    this.thought += text;
    if (!this.asSummary) {
      yield { type: 'response.reasoning_text.done', item_id: id, content_index: 0, text };
      const part = { type: 'reasoning_text' as const, text };
      yield { type: 'response.content_part.done', item_id: id, content_index: 0, part };
      const item: ReasoningItem = { id, type: 'reasoning', summary: [], content: [part] };
      yield { type: 'response.output_item.done', item };
      return;
    }
    const part = { type: 'summary_text' as const, text };
    yield { type: 'response.reasoning_summary_text.done', item_id: id, summary_index: 0, text };
    yield { type: 'response.reasoning_summary_part.done', item_id: id, summary_index: 0, part };
    yield { type: 'response.output_item.done', item: { id, type: 'reasoning', summary: [part] } };
  }
}
