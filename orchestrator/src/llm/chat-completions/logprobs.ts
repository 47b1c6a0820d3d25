/** The `logprobs` of a choice → what the Responses API shows of them. Pure; what is malformed is left out. */
import type { LlmLogprob } from '../llm.js';

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null;
const listOf = (value: unknown): readonly Fields[] => (Array.isArray(value) ? value.filter(isFields) : []);

function readToken(value: Fields): Omit<LlmLogprob, 'top_logprobs'> | null {
  const { token, logprob, bytes } = value;
  if (typeof token !== 'string' || typeof logprob !== 'number') return null;
  const known = Array.isArray(bytes) && bytes.every((byte) => typeof byte === 'number');
  return { token, logprob, bytes: known ? bytes : [...Buffer.from(token)] };
}

export function readLogprobs(value: unknown): LlmLogprob[] {
  return listOf(isFields(value) ? value['content'] : undefined).flatMap((each) => {
    const read = readToken(each);
    if (!read) return [];
    const top_logprobs = listOf(each['top_logprobs']).flatMap((other) => readToken(other) ?? []);
    return [{ ...read, top_logprobs }];
  });
}
