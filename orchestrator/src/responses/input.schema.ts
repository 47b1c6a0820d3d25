/** Input items (contract §1.1): strict about what they mean, lenient about what clients replay along. */
import { z } from 'zod';
import { maybe } from '../common/wire-schema.js';

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
  annotations: maybe(z.array(z.unknown())),
});
const refusal = z.object({ type: z.literal('refusal'), refusal: z.string() });

const contentPart = z.discriminatedUnion('type', [inputText, inputImage, inputFile, outputText, refusal]);

const status = maybe(z.string());
const id = maybe(z.string().max(64));

const message = z.object({
  type: z.literal('message'),
  id,
  role: z.enum(['user', 'assistant', 'system', 'developer']),
  content: z.union([z.string(), z.array(contentPart)]),
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
  output: z.union([z.string(), z.array(contentPart)]),
  status,
});

const reasoning = z.object({
  type: z.literal('reasoning'),
  id,
  summary: maybe(z.array(z.looseObject({ type: z.string(), text: z.string() }))),
  content: maybe(z.array(z.looseObject({ type: z.string(), text: z.string() }))),
  encrypted_content: maybe(z.string()),
  status,
});

const codeInterpreterCall = z.object({
  type: z.literal('code_interpreter_call'),
  id,
  code: maybe(z.string()),
  container_id: maybe(z.string()),
  outputs: maybe(z.array(z.looseObject({ type: z.string() }))),
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

/** `type` may be missing on messages and item references (contract §7.2). */
function withType(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const item = value as Record<string, unknown>;
  if (item['type'] !== undefined && item['type'] !== null) return value;
  return {
    ...item,
    type: item['role'] === undefined && typeof item['id'] === 'string' ? 'item_reference' : 'message',
  };
}

export const inputItemSchema = z.preprocess(withType, union);
export type InputItem = z.output<typeof union>;
