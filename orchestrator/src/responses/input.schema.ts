/** Input items: strict about what they mean, lenient about what clients replay along. */
import { z } from 'zod';
import { anyJson, list, maybe } from '../common/wire-schema.js';

/** Items of one request. */
export const MAX_INPUT_ITEMS = 4_096;
/** Parts of one item: content, output, summary, outputs of a call. */
export const MAX_PARTS = 1_024;
/** Parts of all items of a request together. */
export const MAX_PARTS_IN_ALL = 8_192;
/** Citations of one replayed part. */
const MAX_ANNOTATIONS = 4_096;

const DETAIL = z.enum(['auto', 'low', 'high', 'original']);

const inputText = z.object({ type: z.literal('input_text'), text: z.string() });
const inputImage = z.object({
  type: z.literal('input_image'),
  image_url: maybe(z.string()),
  file_id: maybe(z.string()),
  detail: maybe(DETAIL),
});
const inputFile = z.object({
  type: z.literal('input_file'),
  file_id: maybe(z.string()),
  file_data: maybe(z.string()),
  filename: maybe(z.string()),
  file_url: maybe(z.string()),
});
const outputText = z.object({
  type: z.literal('output_text'),
  text: z.string(),
  annotations: maybe(list(anyJson(), MAX_ANNOTATIONS)),
});
const refusal = z.object({ type: z.literal('refusal'), refusal: z.string() });

const contentPart = z.discriminatedUnion('type', [inputText, inputImage, inputFile, outputText, refusal]);

const status = maybe(z.string());
const id = maybe(z.string().max(64));

const message = z.object({
  type: z.literal('message'),
  id,
  role: z.enum(['user', 'assistant', 'system', 'developer']),
  content: z.union([z.string(), list(contentPart, MAX_PARTS)]),
  status,
  phase: maybe(z.string()),
});

const functionCall = z.object({
  type: z.literal('function_call'),
  id,
  call_id: z.string(),
  name: z.string(),
  arguments: z.string(),
  status,
});

const functionCallOutput = z.object({
  type: z.literal('function_call_output'),
  id,
  call_id: z.string(),
  output: z.union([z.string(), list(contentPart, MAX_PARTS)]),
  status,
});

const reasoning = z.object({
  type: z.literal('reasoning'),
  id,
  summary: maybe(list(z.object({ type: z.string(), text: z.string() }), MAX_PARTS)),
  content: maybe(list(z.object({ type: z.string(), text: z.string() }), MAX_PARTS)),
  encrypted_content: maybe(z.string()),
  status,
});

/**
 * An output of a call that a client sends back: what was printed, or a figure as we showed it. Only our own
 * runs say which file a figure is, so a `file_id` is left out, and so is what no output has.
 */
const callOutput = z.looseObject({ type: z.string() }).transform((output) => {
  const { type, logs, url } = output as { type: string; logs?: unknown; url?: unknown };
  if (type === 'image') return typeof url === 'string' ? { type, url } : { type };
  return { type, ...(typeof logs === 'string' ? { logs } : {}) };
});

const codeInterpreterCall = z.object({
  type: z.literal('code_interpreter_call'),
  id,
  code: maybe(z.string()),
  container_id: maybe(z.string()),
  outputs: maybe(list(callOutput, MAX_PARTS)),
  status,
});

const itemReference = z.object({ type: z.literal('item_reference'), id: z.string() });

const compaction = z.object({ type: z.literal('compaction'), id, encrypted_content: z.string() });

const union = z.discriminatedUnion('type', [
  message,
  functionCall,
  functionCallOutput,
  reasoning,
  codeInterpreterCall,
  itemReference,
  compaction,
]);

/** `type` may be missing on messages and item references (docs/contract/errors-and-headers.md). */
function withType(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const item = value as Record<string, unknown>;
  if (item['type'] !== undefined && item['type'] !== null) return value;
  return {
    ...item,
    type: item['role'] === undefined && typeof item['id'] === 'string' ? 'item_reference' : 'message',
  };
}

const inputItemSchema = z.preprocess(withType, union);

const PARTS_FIELDS = ['content', 'output', 'summary', 'outputs'] as const;

function countParts(item: unknown): number {
  if (typeof item !== 'object' || item === null) return 0;
  const fields = PARTS_FIELDS.map((field) => (item as Record<string, unknown>)[field]);
  return fields.reduce<number>((sum, field) => sum + (Array.isArray(field) ? field.length : 0), 0);
}

/** Items of an input; the sum of their parts is looked at before any of them is read. */
export const inputItemsSchema = (max: number = MAX_INPUT_ITEMS) =>
  z.preprocess(
    (value, context) => {
      if (!Array.isArray(value) || value.length > max) return value;
      const parts = value.reduce<number>((sum, item) => sum + countParts(item), 0);
      if (parts <= MAX_PARTS_IN_ALL) return value;
      context.addIssue({
        code: 'custom',
        message: `Invalid input: too many parts. Expected at most ${MAX_PARTS_IN_ALL} parts in all items together, but got ${parts} instead.`,
        params: { code: 'array_above_max_length' },
      });
      return z.NEVER;
    },
    list(inputItemSchema, max),
  );

export type InputItem = z.output<typeof union>;
/** As it is kept: every item has an id. */
export type StoredItem = InputItem & { id: string };
