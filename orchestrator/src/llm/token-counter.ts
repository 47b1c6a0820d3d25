/**
 * How many tokens a turn's input has. Counted with o200k_base, the vocabulary of OpenAI's newer models;
 * other models cut text a little differently, so for them it is an estimate (docs/models.md). Asked by
 * POST /responses/input_tokens, and before a run when the model's context window is known.
 */
import { setImmediate as breathe } from 'node:timers/promises';
import type { LlmMessage, LlmTool } from './llm.js';

/** What common models charge for a picture of middling size. */
const TOKENS_PER_IMAGE = 800;
/** Role, separators. */
const TOKENS_PER_MESSAGE = 4;
/** Characters counted in one go, so that other requests get their turn. */
const CHUNK = 8_192;
/** Text without spaces takes time with the square of its length: it is cut. */
const RUN = 128;
const LONG_RUN = new RegExp(`\\S{${RUN}}|\\s{${RUN}}`);
/** Of a longer text only the beginning is counted, and the rest is taken to be alike. */
const MAX_COUNTED = 256 * 1024;

type Count = (text: string) => number;
let counter: Promise<Count> | null = null;

/** The vocabulary takes half a second and 70 MB: it is loaded when it is first needed. */
function load(): Promise<Count> {
  counter ??= import('gpt-tokenizer/encoding/o200k_base').then(({ countTokens }) => {
    const plain = { allowedSpecial: new Set<string>(), disallowedSpecial: new Set<string>() };
    return (text: string) => countTokens(text, plain);
  });
  return counter;
}

function countChunk(count: Count, chunk: string): number {
  if (!LONG_RUN.test(chunk)) return count(chunk);
  let tokens = 0;
  for (let start = 0; start < chunk.length; start += RUN) tokens += count(chunk.slice(start, start + RUN));
  return tokens;
}

export async function countText(text: string): Promise<number> {
  if (text === '') return 0;
  const count = await load();
  const counted = text.slice(0, MAX_COUNTED);
  let tokens = 0;
  for (let start = 0; start < counted.length; start += CHUNK) {
    tokens += countChunk(count, counted.slice(start, start + CHUNK));
    await breathe();
  }
  return Math.ceil((tokens * text.length) / counted.length);
}

/** Everything of a message that the model reads, and its pictures. */
function contentOf(message: LlmMessage): { readonly text: string; readonly images: number } {
  if (message.role === 'assistant') {
    const calls = message.toolCalls.map((call) => `${call.name}\n${call.arguments}`);
    return { text: [message.text, ...calls].filter((text) => text !== '').join('\n'), images: 0 };
  }
  const texts = message.parts.flatMap((part) => (part.type === 'text' ? [part.text] : []));
  return { text: texts.join('\n'), images: message.parts.length - texts.length };
}

const toolsText = (tools: readonly LlmTool[]): string =>
  tools
    .map(({ name, description, parameters }) => JSON.stringify({ name, description, parameters }))
    .join('\n');

export async function countMessage(message: LlmMessage): Promise<number> {
  const { text, images } = contentOf(message);
  return TOKENS_PER_MESSAGE + images * TOKENS_PER_IMAGE + (await countText(text));
}

export const countTools = (tools: readonly LlmTool[]): Promise<number> => countText(toolsText(tools));

/** A number that the count is never above, found without counting: no token is shorter than a byte. */
export function mostTokens(messages: readonly LlmMessage[], tools: readonly LlmTool[]): number {
  const ofMessages = messages.map((message) => {
    const { text, images } = contentOf(message);
    return Buffer.byteLength(text) + images * TOKENS_PER_IMAGE + TOKENS_PER_MESSAGE;
  });
  return ofMessages.reduce((sum, each) => sum + each, Buffer.byteLength(toolsText(tools)));
}
