/** POST /responses/compact (docs/contract/responses.md). */
import { z } from 'zod';
import { usageSchema } from '../response-object.schema.js';
import { createResponseSchema } from '../response.schema.js';

export const compactSchema = createResponseSchema
  .pick({
    model: true,
    input: true,
    instructions: true,
    previous_response_id: true,
    prompt_cache_key: true,
    prompt_cache_options: true,
    prompt_cache_retention: true,
    service_tier: true,
    image: true,
  })
  .meta({ id: 'CompactResponseRequest' });

export type CompactRequest = z.output<typeof compactSchema>;

export const compactedResponseSchema = z
  .object({
    id: z.string(),
    object: z.literal('response.compaction'),
    created_at: z.int(),
    output: z.array(z.looseObject({ type: z.string() })).meta({
      description: 'All messages of the user, then one item of type `compaction` that stands for the rest.',
    }),
    usage: usageSchema,
  })
  .meta({ id: 'CompactedResponse' });

export type CompactedResponse = z.output<typeof compactedResponseSchema>;
