/** What the Responses API answers, for docs/api/openapi.json and the tests that hold us to it. */
import { z } from 'zod';
import { pageOf } from '../common/pagination.js';

const itemStatus = z.enum(['in_progress', 'completed', 'incomplete']);

const citationSchema = z
  .object({
    type: z.literal('container_file_citation'),
    container_id: z.string(),
    file_id: z.string(),
    filename: z.string(),
    start_index: z.int().meta({ description: 'In Unicode code points.' }),
    end_index: z
      .int()
      .meta({ description: 'Exclusive. 0 with start 0: a file that the text does not link.' }),
  })
  .meta({ id: 'ContainerFileCitation' });

const logprobSchema = z
  .looseObject({
    token: z.string(),
    logprob: z.number(),
    bytes: z.array(z.int()),
    top_logprobs: z.array(z.looseObject({ token: z.string(), logprob: z.number(), bytes: z.array(z.int()) })),
  })
  .meta({ id: 'LogProb' });

const outputTextSchema = z.object({
  type: z.literal('output_text'),
  text: z.string(),
  annotations: z.array(citationSchema),
  logprobs: z.array(logprobSchema),
});

const refusalSchema = z.object({ type: z.literal('refusal'), refusal: z.string() });

export const messageItemSchema = z
  .object({
    id: z.string(),
    type: z.literal('message'),
    status: itemStatus,
    role: z.literal('assistant'),
    content: z.array(z.discriminatedUnion('type', [outputTextSchema, refusalSchema])),
  })
  .meta({ id: 'OutputMessage' });

export const reasoningItemSchema = z
  .object({
    id: z.string(),
    type: z.literal('reasoning'),
    summary: z.array(z.object({ type: z.literal('summary_text'), text: z.string() })),
    content: z.array(z.object({ type: z.literal('reasoning_text'), text: z.string() })).optional(),
  })
  .meta({ id: 'ReasoningItem' });

export const functionCallItemSchema = z
  .object({
    id: z.string(),
    type: z.literal('function_call'),
    call_id: z.string(),
    name: z.string(),
    arguments: z.string(),
    status: itemStatus,
  })
  .meta({ id: 'FunctionCall' });

export const codeInterpreterCallSchema = z
  .object({
    id: z.string(),
    type: z.literal('code_interpreter_call'),
    status: z.enum(['in_progress', 'interpreting', 'completed', 'incomplete', 'failed']),
    code: z.string().nullable(),
    container_id: z.string(),
    outputs: z
      .array(
        z.discriminatedUnion('type', [
          z.object({ type: z.literal('logs'), logs: z.string() }),
          z.object({ type: z.literal('image'), url: z.string() }),
        ]),
      )
      .nullable()
      .meta({ description: 'Null unless `include` has `code_interpreter_call.outputs`.' }),
  })
  .meta({ id: 'CodeInterpreterCall' });

export const outputItemSchema = z
  .discriminatedUnion('type', [
    messageItemSchema,
    reasoningItemSchema,
    functionCallItemSchema,
    codeInterpreterCallSchema,
  ])
  .meta({ id: 'OutputItem' });

export const usageSchema = z
  .object({
    input_tokens: z.int(),
    input_tokens_details: z.object({ cached_tokens: z.int(), cache_write_tokens: z.int() }),
    output_tokens: z.int(),
    output_tokens_details: z.object({ reasoning_tokens: z.int() }),
    total_tokens: z.int(),
  })
  .meta({ id: 'ResponseUsage' });

export const responseObjectSchema = z
  .strictObject({
    id: z.string(),
    object: z.literal('response'),
    created_at: z.int(),
    status: z.enum(['queued', 'in_progress', 'completed', 'incomplete', 'failed', 'cancelled']),
    background: z.boolean(),
    completed_at: z.int().nullable(),
    error: z.object({ code: z.string(), message: z.string() }).nullable(),
    incomplete_details: z.object({ reason: z.enum(['max_output_tokens', 'content_filter']) }).nullable(),
    instructions: z.union([z.string(), z.array(z.unknown())]).nullable(),
    max_output_tokens: z.int().nullable(),
    max_tool_calls: z.int().nullable(),
    model: z.string(),
    output: z.array(outputItemSchema),
    parallel_tool_calls: z.boolean(),
    previous_response_id: z.string().nullable(),
    conversation: z.object({ id: z.string() }).optional(),
    prompt_cache_key: z.string().nullable(),
    prompt_cache_retention: z.string().nullable(),
    reasoning: z.object({ effort: z.string().nullable(), summary: z.string().nullable() }),
    safety_identifier: z.string().nullable(),
    service_tier: z.string(),
    store: z.boolean(),
    temperature: z.number(),
    top_p: z.number(),
    top_logprobs: z.int(),
    frequency_penalty: z.number(),
    presence_penalty: z.number(),
    text: z.object({ format: z.looseObject({ type: z.string() }), verbosity: z.string() }),
    tool_choice: z.unknown(),
    tools: z.array(z.looseObject({ type: z.string() })),
    truncation: z.string(),
    usage: usageSchema.nullable(),
    user: z.string().nullable(),
    metadata: z.record(z.string(), z.string()),
    moderation: z.null(),
    access_programs: z.null(),
  })
  .meta({ id: 'Response' });

export const deletedResponseSchema = z
  .object({ id: z.string(), object: z.literal('response'), deleted: z.literal(true) })
  .meta({ id: 'DeletedResponse' });

/** What was said, by whoever it was. */
export const itemSchema = z.looseObject({ id: z.string(), type: z.string() }).meta({ id: 'Item' });

/** A list of input items, of a response or a conversation. */
export const itemListSchema = pageOf(itemSchema).meta({ id: 'ItemList' });
