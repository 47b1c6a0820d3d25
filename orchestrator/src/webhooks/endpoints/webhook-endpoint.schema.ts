/**
 * Webhook endpoints as the official client of OpenAI knows them (`client.webhooks.create(…)`).
 * `enabled` and `disabled_reason` are ours.
 */
import { z } from 'zod';
import { pageQuery } from '../../common/pagination.js';
import { maybe } from '../../common/wire-schema.js';
import { EVENT_TYPES } from '../../outbox/event.types.js';

const nameSchema = z.string().max(256);
const eventTypes = z
  .array(z.enum(EVENT_TYPES))
  .min(1)
  .max(EVENT_TYPES.length)
  .transform((types) => [...new Set(types)]);

export const createEndpointSchema = z
  .strictObject({
    url: z.string().meta({ description: 'http:// or https://; receives a POST for each event.' }),
    event_types: eventTypes,
    name: maybe(nameSchema),
  })
  .meta({ id: 'CreateWebhookEndpointRequest' });

export type CreateEndpointRequest = z.output<typeof createEndpointSchema>;

export const updateEndpointSchema = z
  .strictObject({
    url: maybe(z.string()),
    event_types: maybe(eventTypes),
    name: maybe(nameSchema),
    enabled: maybe(z.boolean()).meta({ description: 'false: events are not recorded for it.' }),
  })
  .meta({ id: 'UpdateWebhookEndpointRequest' });

export type UpdateEndpointRequest = z.output<typeof updateEndpointSchema>;

export const rotateSecretSchema = z
  .strictObject({
    keep_old_secret_active_for_24_hours: maybe(z.boolean()).meta({
      description: 'Sign with the old secret as well for a day.',
    }),
  })
  .meta({ id: 'RotateWebhookSecretRequest' });

export const testEndpointSchema = z
  .strictObject({ event_type: z.enum(EVENT_TYPES) })
  .meta({ id: 'TestWebhookEndpointRequest' });

export const endpointTestSchema = z
  .object({
    object: z.literal('webhook_endpoint.test'),
    webhook_endpoint_id: z.string(),
    event_type: z.enum(EVENT_TYPES),
    status_code: z.int().meta({ description: 'What the endpoint answered.' }),
    success: z.boolean().meta({ description: 'Whether that counts as delivered: a 2xx, so no redirect.' }),
  })
  .meta({ id: 'WebhookEndpointTestResult' });

export type EndpointTestResult = z.output<typeof endpointTestSchema>;

export const listEndpointsQuery = pageQuery();

export const endpointSchema = z
  .object({
    id: z.string(),
    object: z.literal('webhook_endpoint'),
    created_at: z.int(),
    updated_at: z.int(),
    name: z.string(),
    url: z.string(),
    event_types: z.array(z.enum(EVENT_TYPES)),
    signing_secret_hint: z.string().nullable(),
    enabled: z.boolean(),
    disabled_reason: z.string().nullable().meta({ description: 'Why the server disabled it.' }),
  })
  .meta({ id: 'WebhookEndpoint' });

export type EndpointObject = z.output<typeof endpointSchema>;

export const endpointWithSecretSchema = endpointSchema
  .extend({
    signing_secret: z.string().meta({ description: 'Shown this once.' }),
  })
  .meta({ id: 'WebhookEndpointWithSecret' });

export type EndpointWithSecret = z.output<typeof endpointWithSecretSchema>;

export const deletedEndpointSchema = z
  .object({ id: z.string(), object: z.literal('webhook_endpoint.deleted'), deleted: z.literal(true) })
  .meta({ id: 'DeletedWebhookEndpoint' });

export const callbackSecretSchema = z
  .object({
    object: z.literal('webhook_endpoint.callback_secret'),
    signing_secret: z.string().meta({ description: 'Signs what is sent to the callback_url of a response.' }),
  })
  .meta({ id: 'WebhookCallbackSecret' });

export type CallbackSecretObject = z.output<typeof callbackSecretSchema>;

export const eventTypesSchema = z
  .object({ object: z.literal('list'), data: z.array(z.enum(EVENT_TYPES)) })
  .meta({ id: 'WebhookEventTypeList' });
