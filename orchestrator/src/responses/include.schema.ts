/** `include` of bodies and queries (docs/contract/responses.md). */
import { z } from 'zod';
import { list, maybe } from '../common/wire-schema.js';

const INCLUDES = [
  'file_search_call.results',
  'web_search_call.results',
  'web_search_call.action.sources',
  'message.input_image.image_url',
  'computer_call_output.output.image_url',
  'code_interpreter_call.outputs',
  'reasoning.encrypted_content',
  'message.output_text.logprobs',
] as const;

/** Each of them, and some more than once. */
const MAX_INCLUDES = 64;

export type Include = (typeof INCLUDES)[number];

export const includeSchema = list(z.enum(INCLUDES), MAX_INCLUDES);

/** `include=a` and `include[]=a&include[]=b` are one thing (docs/contract/errors-and-headers.md). */
export const includeQuery = z.preprocess(
  (value) => (typeof value === 'string' ? [value] : value),
  maybe(includeSchema),
);
