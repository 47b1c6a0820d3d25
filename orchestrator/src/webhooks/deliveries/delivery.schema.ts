/** The log of deliveries, as an operator sees it. */
import { z } from 'zod';
import { pageQuery } from '../../common/pagination.js';
import { queryText } from '../../common/wire-schema.js';

const STATUSES = ['pending', 'delivered', 'failed'] as const;

export const listDeliveriesQuery = pageQuery().extend({
  project_id: queryText().optional(),
  endpoint_id: queryText().optional(),
  subject_id: queryText().optional().meta({ description: 'The response or container that is told of.' }),
  event_type: queryText().optional(),
  status: z.enum(STATUSES).optional(),
});

export type ListDeliveriesQuery = z.output<typeof listDeliveriesQuery>;

export const deliverySchema = z
  .object({
    id: z.string().meta({ description: 'Also the webhook-id of every try.' }),
    object: z.literal('webhook_delivery'),
    project_id: z.string(),
    endpoint_id: z.string().nullable().meta({ description: 'null: the callback_url of a response.' }),
    url: z.string().meta({ description: 'Without its query, which may hold a token.' }),
    event_id: z.string(),
    event_type: z.string(),
    subject_id: z.string(),
    status: z.enum(STATUSES),
    attempt_count: z.int(),
    next_attempt_at: z.int().nullable(),
    last_status_code: z.int().nullable(),
    last_error: z.string().nullable(),
    created_at: z.int(),
    delivered_at: z.int().nullable(),
  })
  .meta({ id: 'WebhookDelivery' });

export type DeliveryObject = z.output<typeof deliverySchema>;

export const deliveryWithAttemptsSchema = deliverySchema
  .extend({
    attempts: z.array(
      z.object({
        number: z.int(),
        started_at: z.int(),
        duration_ms: z.int(),
        status_code: z.int().nullable(),
        error: z.string().nullable(),
        answer: z.string().nullable().meta({ description: 'The first bytes of the reply.' }),
      }),
    ),
  })
  .meta({ id: 'WebhookDeliveryWithAttempts' });

export type DeliveryWithAttempts = z.output<typeof deliveryWithAttemptsSchema>;
