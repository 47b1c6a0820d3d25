/** What is told to the outside, in the words of the wire. */

export const WEBHOOK_EVENT_TYPES = [
  'response.completed',
  'response.failed',
  'response.cancelled',
  'response.incomplete',
  'container.expired',
] as const;

export type WebhookEventType = (typeof WEBHOOK_EVENT_TYPES)[number];

/** The body of a delivery: the shape of OpenAI's webhook events. */
export interface WebhookEvent {
  readonly id: string;
  readonly object: 'event';
  readonly type: WebhookEventType;
  readonly created_at: number;
  readonly data: { readonly id: string };
}
