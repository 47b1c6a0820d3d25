/**
 * The one place that numbers events and keeps the Response they add up to. Producers say what
 * happened; whoever consumes the result (stream, JSON, records) sees the same thing.
 */
import { toUnix } from '../../common/time.js';
import type { DraftEvent, OutputItem, ResponseObject, StreamEvent } from '../response.types.js';

export class Sequencer {
  private number: number;
  private snapshot: ResponseObject;
  private readonly items: OutputItem[] = [];
  private readonly indexOf = new Map<string, number>();
  private readonly dropped = new Set<string>();

  /** `initial` is the Response before anything happened, with `output: []`. */
  constructor(initial: ResponseObject, firstNumber = 0) {
    this.snapshot = initial;
    this.number = firstNumber;
  }

  /**
   * Takes up where an earlier process stopped: the same numbers, items and snapshot. Items that are
   * `dropped` keep their place in the stream and are not in the response that it adds up to.
   */
  static resume(
    initial: ResponseObject,
    events: readonly StreamEvent[],
    dropped: readonly string[] = [],
  ): Sequencer {
    const sequencer = new Sequencer(initial, (events.at(-1)?.sequence_number ?? -1) + 1);
    for (const event of events) {
      if (event.response) sequencer.snapshot = event.response;
      if (!event.item) continue;
      const index = sequencer.indexOf.get(event.item.id) ?? sequencer.items.length;
      sequencer.indexOf.set(event.item.id, index);
      sequencer.items[index] = event.item;
    }
    for (const id of dropped) sequencer.dropped.add(id);
    return sequencer;
  }

  /** The Response as of the last event. */
  get response(): ResponseObject {
    return this.snapshot;
  }

  /** Finished and open items, in order. */
  get output(): readonly OutputItem[] {
    return this.items;
  }

  next(event: DraftEvent): StreamEvent {
    const sequence_number = this.number;
    this.number += 1;
    switch (event.type) {
      case 'response.created':
      case 'response.queued':
        return { type: event.type, sequence_number, response: this.snapshot };
      case 'response.in_progress':
        this.snapshot = { ...this.snapshot, status: 'in_progress' };
        return { type: event.type, sequence_number, response: this.snapshot };
      case 'response.completed':
        this.end({
          status: 'completed',
          usage: event.usage,
          completed_at: toUnix(new Date()),
          service_tier: 'default',
        });
        return { type: event.type, sequence_number, response: this.snapshot };
      case 'response.incomplete':
        this.end({
          status: 'incomplete',
          usage: event.usage,
          incomplete_details: { reason: event.reason },
          service_tier: 'default',
        });
        return { type: event.type, sequence_number, response: this.snapshot };
      case 'response.failed':
        this.end({ status: event.status, usage: event.usage, error: event.error, service_tier: 'default' });
        return { type: event.type, sequence_number, response: this.snapshot };
      case 'response.output_item.added': {
        const output_index = this.items.push(event.item) - 1;
        this.indexOf.set(event.item.id, output_index);
        return { type: event.type, sequence_number, output_index, item: event.item };
      }
      case 'response.output_item.done': {
        const output_index = this.known(event.item.id);
        this.items[output_index] = event.item;
        return { type: event.type, sequence_number, output_index, item: event.item };
      }
      default: {
        const { type, item_id, ...rest } = event;
        return { type, sequence_number, item_id, output_index: this.known(item_id), ...rest };
      }
    }
  }

  private known(itemId: string): number {
    const index = this.indexOf.get(itemId);
    if (index === undefined) throw new Error(`event for item ${itemId}, which was never added`);
    return index;
  }

  private end(change: Partial<ResponseObject>): void {
    this.snapshot = {
      ...this.snapshot,
      ...change,
      output: this.items.filter(({ id }) => !this.dropped.has(id)),
    };
  }
}
