/** The queues of the house. A queue has one processor class, which handles each of its job names. */
export const QUEUES = {
  /** Expired containers, orphaned sandboxes. */
  sweep: 'sweep',
  /** Warm sandboxes. */
  pool: 'pool',
  /** Blobs and responses that nobody needs any more. */
  retention: 'retention',
  /** Responses that run in the background. */
  responses: 'responses',
  /** Calls to the outside about what happened. */
  webhooks: 'webhooks',
} as const;

export type QueueName = (typeof QUEUES)[keyof typeof QUEUES];

export const QUEUE_NAMES: readonly QueueName[] = Object.values(QUEUES);
