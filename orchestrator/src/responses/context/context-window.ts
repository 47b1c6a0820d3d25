/**
 * Keeps what a model is sent within its context window (docs/contract/responses.md): before a run, and
 * between its turns. Where the window is not known, the endpoint's own word on it is waited for.
 */
import { ApiError } from '../../common/api-error.js';
import type { LlmMessage, LlmTool } from '../../llm/llm.js';
import { countMessage, countTools, mostTokens } from '../../llm/token-counter.js';

export interface Window {
  readonly model: string;
  /** Tokens of input and output together; null when unknown. */
  readonly contextTokens: number | null;
  /** Left free for the answer. */
  readonly outputTokens: number;
  readonly tools: readonly LlmTool[];
}

/** Share of the window that is left for an answer of which nobody said how long it may be. */
const OUTPUT_SHARE = 1 / 8;
const MOST_OUTPUT = 4_096;

/** Tokens to leave for the answer. */
export function outputReserve(contextTokens: number | null, asked: number | undefined): number {
  return asked ?? Math.min(MOST_OUTPUT, Math.floor((contextTokens ?? 0) * OUTPUT_SHARE));
}

/**
 * Messages that only make sense together: an assistant message with the results of its calls. A system
 * message at the very beginning is ours and belongs to none.
 */
function unitsOf(messages: readonly LlmMessage[]): LlmMessage[][] {
  const units: LlmMessage[][] = [];
  for (const message of messages) {
    if (message.role === 'tool' && units.length > 0) units.at(-1)!.push(message);
    else units.push([message]);
  }
  return units;
}

/** Indices of units that may go, oldest first: not the last user message, nor the newest unit. */
function droppable(units: readonly (readonly LlmMessage[])[], keepFirst: boolean): number[] {
  const asked = units.findLastIndex((unit) => unit[0]!.role === 'user');
  return units.flatMap((_, index) =>
    (index === 0 && keepFirst) || index === asked || index === units.length - 1 ? [] : [index],
  );
}

/** Whether the first message is the one that we put there, with the caller's instructions. */
const startsWithOurs = (messages: readonly LlmMessage[], ours: boolean): boolean =>
  ours && messages[0]?.role === 'system';

function overflow(model: string, tokens: number, window: number): ApiError {
  return new ApiError(
    'context_length_exceeded',
    `Your input exceeds the context window of the model '${model}': about ${tokens} tokens, of ${window} there are. Send less, or set 'truncation' to 'auto'.`,
    { param: 'input' },
  );
}

/** Throws 400 `context_length_exceeded` when the input alone is larger than a known window. */
export async function checkFits(messages: readonly LlmMessage[], window: Window): Promise<void> {
  const { contextTokens, tools, model } = window;
  if (contextTokens === null || mostTokens(messages, tools) <= contextTokens) return;
  const counts = await Promise.all([countTools(tools), ...messages.map(countMessage)]);
  const tokens = counts.reduce((sum, each) => sum + each, 0);
  if (tokens > contextTokens) throw overflow(model, tokens, contextTokens);
}

/**
 * The newest messages that fit, calls and results kept together. `ours`: the first message is the
 * system text of the request and stays. Throws as {@link checkFits} when what must stay is too large.
 */
export async function truncate(
  messages: readonly LlmMessage[],
  window: Window,
  ours: boolean,
): Promise<LlmMessage[]> {
  const { contextTokens, outputTokens, tools, model } = window;
  if (contextTokens === null || mostTokens(messages, tools) + outputTokens <= contextTokens)
    return [...messages];
  const units = unitsOf(messages);
  const sizes: number[] = [];
  for (const unit of units) {
    let size = 0;
    for (const message of unit) size += await countMessage(message);
    sizes.push(size);
  }
  const room = contextTokens - outputTokens;
  let total = sizes.reduce((sum, each) => sum + each, await countTools(tools));
  const gone = new Set<number>();
  for (const index of droppable(units, startsWithOurs(messages, ours))) {
    if (total <= room) break;
    gone.add(index);
    total -= sizes[index]!;
  }
  if (total > contextTokens) throw overflow(model, total, contextTokens);
  return units.filter((_, index) => !gone.has(index)).flat();
}

/** Half of what may go, for an endpoint that said it was too much; null when nothing may go. */
export function halve(messages: readonly LlmMessage[], ours: boolean): LlmMessage[] | null {
  const units = unitsOf(messages);
  const may = droppable(units, startsWithOurs(messages, ours));
  if (may.length === 0) return null;
  const gone = new Set(may.slice(0, Math.ceil(may.length / 2)));
  return units.filter((_, index) => !gone.has(index)).flat();
}

/** `truncation: "auto"` of one run. */
export class Fit {
  constructor(
    private readonly window: Window,
    private readonly ours: boolean,
  ) {}

  truncate(messages: readonly LlmMessage[]): Promise<LlmMessage[]> {
    return truncate(messages, this.window, this.ours);
  }

  /** After the endpoint refused these messages as too many; null when nothing may go. */
  halve(messages: readonly LlmMessage[]): LlmMessage[] | null {
    return halve(messages, this.ours);
  }
}
