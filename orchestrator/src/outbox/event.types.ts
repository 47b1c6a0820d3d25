/** What is told to the outside, in the words of the wire. */

export const EVENT_TYPES = [
  'response.completed',
  'response.failed',
  'response.cancelled',
  'response.incomplete',
  'container.expired',
] as const;

export type EventType = (typeof EVENT_TYPES)[number];

/** The body of a delivery: the shape of OpenAI's webhook events. */
export interface OutboxEvent {
  readonly id: string;
  readonly object: 'event';
  readonly type: EventType;
  readonly created_at: number;
  readonly data: { readonly id: string };
}
