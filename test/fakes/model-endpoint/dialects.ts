/** A scripted turn → the chunks that a certain server would send. Deterministic: ids are counted. */
import type { Dialect, ScriptedCall, ScriptedTurn } from './script.ts';

export type Chunk = Readonly<Record<string, unknown>>;
type Delta = Record<string, unknown>;

const CREATED = 1_764_000_000;

/** `text` in pieces of `size` code points. */
export function pieces(text: string, size: number): string[] {
  const points = [...text];
  const out: string[] = [];
  for (let start = 0; start < points.length; start += Math.max(1, size))
    out.push(points.slice(start, start + Math.max(1, size)).join(''));
  return out;
}

const argumentsOf = (call: ScriptedCall): string =>
  typeof call.arguments === 'string' ? call.arguments : JSON.stringify(call.arguments);

const REASONING: Readonly<Record<Dialect, string>> = {
  openai: 'reasoning_content',
  vllm: 'reasoning',
  ollama: 'reasoning',
  litellm: 'reasoning_content',
  'llama.cpp': 'reasoning_content',
  openrouter: 'reasoning',
  whole: 'reasoning_content',
};

function callDeltas(call: ScriptedCall, index: number, id: string, dialect: Dialect, size: number): Delta[] {
  const text = argumentsOf(call);
  const base = { index, id, type: 'function' };
  if (dialect === 'ollama')
    return [
      {
        role: 'assistant',
        content: '',
        tool_calls: [{ ...base, function: { name: call.name, arguments: text } }],
      },
    ];
  const rest = pieces(text, size);
  const first = dialect === 'llama.cpp' ? (rest.shift() ?? '') : dialect === 'vllm' ? undefined : '';
  const head = { ...base, function: { name: call.name, arguments: first } };
  const piece = (part: string): Delta =>
    dialect === 'litellm'
      ? {
          content: null,
          role: null,
          tool_calls: [{ id: null, type: 'function', index, function: { name: null, arguments: part } }],
        }
      : { tool_calls: [{ index, function: { arguments: part } }] };
  return [{ tool_calls: [head] }, ...rest.map(piece)];
}

export interface TurnFacts {
  readonly model: string;
  readonly number: number;
  readonly promptCharacters: number;
  /** Alternatives asked for with each token; absent: no probabilities. */
  readonly topLogprobs?: number | undefined;
}

function usageOf(turn: ScriptedTurn, facts: TurnFacts): Record<string, unknown> | null {
  if (turn.usage === null) return null;
  const said = [turn.reasoning, turn.text, turn.refusal, ...(turn.calls ?? []).map(argumentsOf)].join('');
  const usage = turn.usage ?? {
    prompt_tokens: Math.ceil(facts.promptCharacters / 4),
    completion_tokens: Math.ceil(said.length / 4),
  };
  return {
    prompt_tokens: usage.prompt_tokens,
    completion_tokens: usage.completion_tokens,
    total_tokens: usage.prompt_tokens + usage.completion_tokens,
    prompt_tokens_details: { cached_tokens: usage.cached_tokens ?? 0 },
    completion_tokens_details: { reasoning_tokens: usage.reasoning_tokens ?? 0 },
  };
}

const callId = (call: ScriptedCall, facts: TurnFacts, index: number): string =>
  call.id ?? `call_${facts.number}_${index}`;

function deltasOf(turn: ScriptedTurn, facts: TurnFacts, dialect: Dialect): Delta[] {
  const size = turn.chunk ?? 16;
  const head: Delta[] =
    dialect === 'openrouter' || dialect === 'ollama'
      ? []
      : [{ role: 'assistant', content: dialect === 'llama.cpp' ? null : '' }];
  const role = dialect === 'openrouter' || dialect === 'ollama' ? { role: 'assistant' } : {};
  return [
    ...head,
    ...pieces(turn.reasoning ?? '', size).map((piece) => ({
      ...role,
      ...(role.role ? { content: '' } : {}),
      [REASONING[dialect]]: piece,
    })),
    ...pieces(turn.text ?? '', size).map((content) => ({ ...role, content })),
    ...pieces(turn.refusal ?? '', size).map((refusal) => ({ ...role, refusal })),
    ...(turn.calls ?? []).flatMap((call, index) =>
      callDeltas(call, index, callId(call, facts, index), dialect, size),
    ),
  ];
}

/** A piece of text is taken for one token. */
function logprobsOf({ content }: Delta, { topLogprobs }: TurnFacts): unknown {
  if (topLogprobs === undefined || typeof content !== 'string' || content === '') return null;
  const token = { token: content, logprob: -0.25, bytes: [...Buffer.from(content)] };
  return {
    content: [{ ...token, top_logprobs: Array.from({ length: topLogprobs }, () => token) }],
    refusal: null,
  };
}

const finishOf = (turn: ScriptedTurn): string =>
  turn.finish ?? ((turn.calls ?? []).length > 0 ? 'tool_calls' : 'stop');

/** All chunks of a turn, the usage in the last one. */
export function toChunks(turn: ScriptedTurn, facts: TurnFacts): Chunk[] {
  const dialect = turn.dialect ?? 'openai';
  const usage = usageOf(turn, facts);
  const head = {
    id: `chatcmpl-${facts.number}`,
    object: 'chat.completion.chunk',
    created: CREATED,
    model: facts.model,
    ...(dialect === 'openrouter' ? { provider: 'Fake' } : {}),
    ...(dialect === 'openai' ? { system_fingerprint: 'fp_fake', usage: null } : {}),
  };
  const choice = (delta: Delta, finish_reason: string | null) => [
    { index: 0, delta, logprobs: logprobsOf(delta, facts), finish_reason },
  ];
  const chunks: Chunk[] = deltasOf(turn, facts, dialect).map((delta) => ({
    ...head,
    choices: choice(delta, null),
  }));
  const last = {
    ...head,
    choices: choice(dialect === 'ollama' ? { role: 'assistant', content: '' } : {}, finishOf(turn)),
  };
  if (usage === null) return [...chunks, last];
  if (dialect === 'openrouter')
    return [...chunks, last, { ...head, choices: choice({ role: 'assistant', content: '' }, null), usage }];
  return [...chunks, last, { ...head, choices: [], usage }];
}

/** The same turn as an answer without a stream. */
export function toCompletion(turn: ScriptedTurn, facts: TurnFacts): Chunk {
  const calls = (turn.calls ?? []).map((call, index) => ({
    id: callId(call, facts, index),
    type: 'function',
    function: { name: call.name, arguments: argumentsOf(call) },
  }));
  const message = {
    role: 'assistant',
    content: turn.text ?? null,
    refusal: turn.refusal ?? null,
    ...(turn.reasoning === undefined ? {} : { reasoning_content: turn.reasoning }),
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
  };
  return {
    id: `chatcmpl-${facts.number}`,
    object: 'chat.completion',
    created: CREATED,
    model: facts.model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: finishOf(turn) }],
    usage: usageOf(turn, facts),
  };
}
