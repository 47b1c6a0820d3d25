/** POST /responses (docs/contract/responses.md): what is accepted, what is refused, and in which order. */
import { z } from 'zod';
import { ApiError } from '../common/api-error.js';
import { describeValue, parseWire } from '../common/schema-error.js';
import { anyJson, integer, jsonSchema, list, maybe, metadata, record } from '../common/wire-schema.js';
import { includeSchema } from './include.schema.js';
import { inputItemsSchema } from './input.schema.js';
import { MAX_TOOLS, toolChoiceSchema, toolSchema } from './tool.schema.js';

const int = (min: number, max?: number) =>
  integer({ min, ...(max === undefined ? {} : { max }), fromText: false });

const formatSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json_object') }),
  z.strictObject({
    type: z.literal('json_schema'),
    name: z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,64}$/, 'expected 1 to 64 letters, digits, underscores or dashes'),
    schema: jsonSchema(),
    strict: maybe(z.boolean()),
    description: maybe(z.string()),
  }),
]);

const reasoningSchema = z.strictObject({
  effort: maybe(z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'])),
  summary: maybe(z.enum(['auto', 'concise', 'detailed'])),
  generate_summary: maybe(z.enum(['auto', 'concise', 'detailed'])),
  context: maybe(z.enum(['auto', 'current_turn'])),
  mode: maybe(z.enum(['standard'])),
});

const unsupported = (message: string) =>
  maybe(z.unknown()).superRefine((value, context) => {
    if (value !== undefined)
      context.addIssue({ code: 'custom', message, params: { code: 'unsupported_parameter' } });
  });

export const createResponseSchema = z
  .strictObject({
    model: z.string(),
    input: maybe(z.union([z.string().max(10_485_760), inputItemsSchema()])),
    instructions: maybe(z.string()),
    tools: maybe(list(toolSchema, MAX_TOOLS)),
    tool_choice: maybe(toolChoiceSchema),
    parallel_tool_calls: maybe(z.boolean()),
    max_tool_calls: maybe(int(1)),
    max_output_tokens: maybe(int(16)),
    temperature: maybe(z.number().min(0).max(2)),
    top_p: maybe(z.number().min(0).max(1)),
    top_logprobs: maybe(int(0, 20)),
    text: maybe(
      z.strictObject({ format: maybe(formatSchema), verbosity: maybe(z.enum(['low', 'medium', 'high'])) }),
    ),
    reasoning: maybe(reasoningSchema),
    stream: maybe(z.boolean()),
    stream_options: maybe(z.strictObject({ include_obfuscation: maybe(z.boolean()) })),
    background: maybe(z.boolean()),
    store: maybe(z.boolean()),
    previous_response_id: maybe(z.string()),
    conversation: maybe(z.union([z.string(), z.strictObject({ id: z.string() })])),
    include: maybe(includeSchema),
    metadata: maybe(metadata()),
    truncation: maybe(z.enum(['auto', 'disabled'])),
    service_tier: maybe(z.enum(['auto', 'default', 'flex', 'scale', 'priority', 'fast', 'ultrafast'])),
    user: maybe(z.string()),
    safety_identifier: maybe(z.string().max(128)),
    prompt_cache_key: maybe(z.string()),
    prompt_cache_retention: maybe(z.enum(['in_memory', 'in-memory', '24h'])),
    prompt_cache_options: maybe(record(z.record(z.string(), anyJson()), 16, 'prompt_cache_options')),
    context_management: unsupported(
      "'context_management' is not supported by this server: set 'truncation' to 'auto', or compact the conversation with POST /responses/compact.",
    ),
    prompt: maybe(
      z.strictObject({
        id: z.string(),
        version: maybe(z.string()),
        variables: maybe(z.record(z.string(), z.unknown())),
      }),
    ),
    callback_url: maybe(z.string()).meta({
      description: 'Where to POST an event when the response has ended (extension).',
    }),
    moderation: unsupported("'moderation' is not supported by this server."),
    access_programs: unsupported("'access_programs' is not supported by this server."),
    image: unsupported("'image' is not supported by this server."),
  })
  .meta({ id: 'CreateResponseRequest' });

export type { Include } from './include.schema.js';

export type CreateResponseRequest = z.output<typeof createResponseSchema>;

/** Keys of the Chat Completions API that people send here by mistake. */
const CHAT_KEYS: Readonly<Record<string, string>> = {
  messages: "use 'input' instead",
  functions: "use 'tools' instead",
  function_call: "use 'tool_choice' instead",
  max_tokens: "use 'max_output_tokens' instead",
  max_completion_tokens: "use 'max_output_tokens' instead",
  response_format: "use 'text.format' instead",
};

const isPrompt = (value: unknown): value is { id: string } =>
  typeof value === 'object' && value !== null && typeof (value as { id?: unknown }).id === 'string';

/** There is no store of prompts, so none is known; one may stand in for the model (docs/contract/responses.md). */
function refusePrompt(prompt: unknown): void {
  if (!isPrompt(prompt)) return;
  throw new ApiError('not_found', `Prompt with id '${prompt.id}' not found.`, { param: 'prompt' });
}

/** Model and input come before everything else, then known mistakes, then the schema. */
export function parseCreateResponse(body: unknown): CreateResponseRequest {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new ApiError(
      'invalid_type',
      `Invalid body: expected an object, but got ${describeValue(body)} instead.`,
    );
  }
  const { model, input, prompt, previous_response_id, conversation } = body as Record<string, unknown>;
  if (model === undefined && !isPrompt(prompt)) {
    throw new ApiError('missing_required_parameter', "Missing required parameter: 'model'.", {
      param: 'model',
    });
  }
  if (model !== undefined && typeof model !== 'string') {
    throw new ApiError(
      'invalid_type',
      `Invalid type for 'model': expected a string, but got ${describeValue(model)} instead.`,
      { param: 'model' },
    );
  }
  refusePrompt(prompt);
  const mistaken = Object.keys(body).find((key) => Object.hasOwn(CHAT_KEYS, key));
  if (mistaken !== undefined) {
    throw new ApiError(
      'unsupported_parameter',
      `Unsupported parameter: '${mistaken}'. In the Responses API, ${CHAT_KEYS[mistaken]}.`,
      { param: mistaken },
    );
  }
  const hasContext = [prompt, previous_response_id, conversation].some(
    (value) => (value ?? undefined) !== undefined,
  );
  if (!hasContext) {
    if ((input ?? undefined) === undefined) {
      throw new ApiError('missing_required_parameter', "Missing required parameter: 'input'.", {
        param: 'input',
      });
    }
    if (input === '' || (Array.isArray(input) && input.length === 0)) {
      throw new ApiError(
        'missing_required_parameter',
        'One of "input" or "previous_response_id" or \'prompt\' or \'conversation\' must be provided.',
      );
    }
  }
  return parseWire(createResponseSchema, body);
}
