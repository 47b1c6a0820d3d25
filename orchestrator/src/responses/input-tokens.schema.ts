/** POST /responses/input_tokens (docs/contract/responses.md): the fields of a response that the model reads. */
import { z } from 'zod';
import { maybe } from '../common/wire-schema.js';
import { createResponseSchema } from './response.schema.js';

export const inputTokensSchema = createResponseSchema
  .pick({
    input: true,
    instructions: true,
    tools: true,
    tool_choice: true,
    text: true,
    reasoning: true,
    truncation: true,
    parallel_tool_calls: true,
    previous_response_id: true,
    conversation: true,
  })
  .extend({ model: maybe(z.string()), personality: maybe(z.string().max(64)) })
  .meta({ id: 'CountInputTokensRequest' });

export type InputTokensRequest = z.output<typeof inputTokensSchema>;

export const inputTokensResultSchema = z
  .object({ object: z.literal('response.input_tokens'), input_tokens: z.int() })
  .meta({ id: 'InputTokens' });
