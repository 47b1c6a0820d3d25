/** What a turn cost, as the endpoint counts it, or as we guess it. Pure. */
import type { LlmMessage, LlmPart, LlmUsage } from '../llm.js';

const CHARACTERS_PER_TOKEN = 4;
/** What common models charge for a picture of middling size. */
const TOKENS_PER_IMAGE = 800;
/** Role, separators. */
const TOKENS_PER_MESSAGE = 4;

const count = (value: unknown): number =>
  typeof value === 'number' && Number.isFinite(value) && value > 0 ? Math.round(value) : 0;

const object = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};

/** The `usage` of a chunk; null when it holds no counts. */
export function readUsage(value: unknown): LlmUsage | null {
  const usage = object(value);
  if (typeof usage['prompt_tokens'] !== 'number' && typeof usage['completion_tokens'] !== 'number')
    return null;
  const inputTokens = count(usage['prompt_tokens']);
  // Some endpoints leave the reasoning out of the completion, but not out of the total.
  const outputTokens = Math.max(
    count(usage['completion_tokens']),
    count(usage['total_tokens']) - inputTokens,
  );
  return {
    inputTokens,
    cachedTokens: count(
      object(usage['prompt_tokens_details'])['cached_tokens'] ?? usage['prompt_cache_hit_tokens'],
    ),
    outputTokens,
    reasoningTokens: count(object(usage['completion_tokens_details'])['reasoning_tokens']),
  };
}

const charactersOf = (parts: readonly LlmPart[]): number =>
  parts.reduce(
    (sum, part) => sum + (part.type === 'text' ? part.text.length : TOKENS_PER_IMAGE * CHARACTERS_PER_TOKEN),
    0,
  );

/** A guess, used when the endpoint reports no usage: four characters are one token. */
export function estimateInput(messages: readonly LlmMessage[]): number {
  const characters = messages.map((message) =>
    message.role === 'assistant'
      ? message.text.length + message.toolCalls.reduce((sum, call) => sum + call.arguments.length, 0)
      : charactersOf(message.parts),
  );
  return characters.reduce((sum, each) => sum + estimateTokens(each) + TOKENS_PER_MESSAGE, 0);
}

export const estimateTokens = (characters: number): number => Math.ceil(characters / CHARACTERS_PER_TOKEN);
