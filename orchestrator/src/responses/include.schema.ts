/** `include` of bodies and queries (contract §1.1). */
import { z } from 'zod';
import { maybe } from '../common/wire-schema.js';

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

export type Include = (typeof INCLUDES)[number];

export const includeSchema = z.array(z.enum(INCLUDES));

/** `include=a` and `include[]=a&include[]=b` are one thing (contract §7.3). */
export const includeQuery = z.preprocess(
  (value) => (typeof value === 'string' ? [value] : value),
  maybe(includeSchema),
);
