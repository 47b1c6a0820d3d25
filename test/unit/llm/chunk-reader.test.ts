/** Answers of many servers → the same events. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  ChunkReader,
  type ChunkReaderOptions,
} from '../../../orchestrator/src/llm/chat-completions/chunk-reader.js';
import { UpstreamFault } from '../../../orchestrator/src/llm/chat-completions/upstream-fault.js';
import type { LlmEvent } from '../../../orchestrator/src/llm/llm.js';
import { fold } from './fold.js';

const FIXTURES = join(import.meta.dirname, '../../fixtures/llm');

const fixture = (name: string): unknown[] =>
  readFileSync(join(FIXTURES, `${name}.jsonl`), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);

function events(chunks: readonly unknown[], options: ChunkReaderOptions = {}, done = true): LlmEvent[] {
  const reader = new ChunkReader(options);
  return [...chunks.flatMap((chunk) => reader.push(chunk)), ...reader.end(done)];
}

const read = (name: string, options?: ChunkReaderOptions) => fold(events(fixture(name), options));

const delta = (value: unknown, finish: string | null = null) => ({
  choices: [{ index: 0, delta: value, finish_reason: finish }],
});

function faultOf(run: () => unknown): UpstreamFault['fault'] {
  try {
    run();
  } catch (error) {
    if (error instanceof UpstreamFault) return error.fault;
    throw error;
  }
  throw new Error('there should have been a fault');
}

describe('dialects', () => {
  it('OpenAI: parallel calls in fragments, usage at the end', () => {
    expect(read('openai-parallel-calls')).toEqual({
      text: '',
      reasoning: '',
      refusal: '',
      calls: [
        { id: 'call_Ab12Cd34Ef56Gh78Ij90Kl12', name: 'python', arguments: '{"code":"print(1)\\n"}' },
        { id: 'call_Zy98Xw76Vu54Ts32Rq10Po98', name: 'get_weather', arguments: '{"city":"Paris"}' },
      ],
      finish: 'tool_calls',
      usage: { inputTokens: 82, cachedTokens: 64, outputTokens: 33, reasoningTokens: 0 },
    });
  });

  it('OpenAI: a refusal', () => {
    expect(read('openai-refusal')).toMatchObject({
      text: '',
      refusal: 'I can’t help with that.',
      finish: 'stop',
    });
  });

  it('OpenAI: a forced call ends with stop', () => {
    expect(read('openai-forced-call-stop')).toMatchObject({
      calls: [{ id: 'call_forced', name: 'python', arguments: '{"code":"1"}' }],
      finish: 'tool_calls',
    });
  });

  it('vLLM: reasoning, usage in each chunk', () => {
    expect(read('vllm-reasoning-usage-in-each-chunk')).toMatchObject({
      reasoning: 'Let me count.',
      calls: [{ id: 'chatcmpl-tool-9f8e7d6c', name: 'python', arguments: '{"code": "2+2"}' }],
      finish: 'tool_calls',
      usage: { inputTokens: 40, outputTokens: 14 },
    });
  });

  it('vLLM: a new id in each fragment is one call all the same', () => {
    const { calls } = read('vllm-named-choice-new-id-in-each-chunk');
    expect(calls).toEqual([{ id: 'chatcmpl-tool-0', name: 'python', arguments: '{"code": "x = 1"}' }]);
  });

  it('vLLM, older: reasoning_content', () => {
    expect(read('vllm-older-reasoning-content')).toMatchObject({
      reasoning: 'Hm.',
      text: 'Four.',
      finish: 'stop',
    });
  });

  it('Ollama: whole calls that share an index, finished with stop', () => {
    expect(read('ollama-calls-share-an-index')).toMatchObject({
      reasoning: 'Two calls.',
      calls: [
        { id: 'call_h3k1', arguments: '{"code":"a = 1"}' },
        { id: 'call_m9x2', arguments: '{"code":"b = 2"}' },
      ],
      finish: 'tool_calls',
      usage: { inputTokens: 150, outputTokens: 30 },
    });
  });

  it('Ollama: tags around the reasoning, without usage', () => {
    const folded = read('ollama-think-tags', { reasoningTags: true, estimateInput: () => 11 });
    expect(folded).toMatchObject({ reasoning: '\nEasy question.\n', text: 'It is 4.', finish: 'stop' });
    expect(folded.usage).toEqual({ inputTokens: 11, cachedTokens: 0, outputTokens: 6, reasoningTokens: 0 });
    expect(read('ollama-think-tags').text).toContain('<think>');
  });

  it('LiteLLM: nulls everywhere, calls that count from one', () => {
    expect(read('litellm-null-fields')).toEqual({
      text: 'Running it.',
      reasoning: 'I will run it.',
      refusal: '',
      calls: [{ id: 'toolu_01AbCdEf', name: 'python', arguments: '{"code": "print(3)"}' }],
      finish: 'tool_calls',
      usage: { inputTokens: 90, cachedTokens: 10, outputTokens: 21, reasoningTokens: 6 },
    });
  });

  it('LiteLLM: arguments as objects, one index for two calls', () => {
    const { calls } = read('litellm-ollama-object-arguments');
    expect(calls.map((call) => call.arguments)).toEqual(['{"code":"1"}', '{"code":"2"}']);
  });

  it('llama.cpp: timings beside the usage', () => {
    expect(read('llama-cpp-timings')).toMatchObject({
      reasoning: 'Sum.',
      calls: [{ name: 'python', arguments: '{"code":"sum(range(5))"}' }],
      usage: { inputTokens: 70, outputTokens: 18 },
    });
  });

  it('OpenRouter: the reasoning told twice counts once, usage beside a choice', () => {
    expect(read('openrouter-reasoning-details')).toMatchObject({
      reasoning: 'Think hard.',
      text: 'The answer is 4.',
      usage: { inputTokens: 14, outputTokens: 16, reasoningTokens: 9 },
    });
  });

  it('OpenRouter: an error in the middle', () => {
    expect(faultOf(() => read('openrouter-error-in-the-middle'))).toMatchObject({
      kind: 'status',
      status: 502,
    });
  });

  it('Mistral: content as a list of parts', () => {
    expect(read('mistral-content-parts')).toMatchObject({ reasoning: 'Hm. ', text: 'Four.', finish: 'stop' });
  });

  it('no index and no ids; a name in parts', () => {
    const { calls, finish } = read('no-index-no-ids');
    expect(calls.map(({ name, arguments: given }) => [name, given])).toEqual([
      ['get_weather', '{"city":"Rome"}'],
      ['get_weather', '{"city":"Oslo"}'],
    ]);
    expect(new Set(calls.map(({ id }) => id)).size).toBe(2);
    expect(finish).toBe('tool_calls');
  });

  it('a late name, a gap in the indices, a call without arguments', () => {
    expect(read('name-late-and-index-gap').calls).toEqual([
      { id: 'call_late', name: 'python', arguments: '{"code":"7"}' },
      { id: 'call_five', name: 'list_all', arguments: '' },
    ]);
  });
});

describe('ends', () => {
  it.each([
    ['length', 'length'],
    ['max_tokens', 'length'],
    ['content_filter', 'content_filter'],
    ['stop', 'stop'],
    ['tool_calls', 'stop'],
    ['end_turn', 'stop'],
  ])('%s without calls is %s', (said, meant) => {
    expect(fold(events([delta({ content: 'a' }), delta({}, said)])).finish).toBe(meant);
  });

  it('length wins over calls', () => {
    const call = { index: 0, id: 'a', function: { name: 'python', arguments: '{"co' } };
    expect(fold(events([delta({ tool_calls: [call] }), delta({}, 'length')])).finish).toBe('length');
  });

  it('needs no [DONE] after a finish, and no finish before [DONE]', () => {
    expect(fold(events([delta({ content: 'a' }, 'stop')], {}, false)).text).toBe('a');
    expect(fold(events([delta({ content: 'a' })], {}, true)).finish).toBe('stop');
  });

  it('is a fault without either, and without anything', () => {
    expect(faultOf(() => events([delta({ content: 'a' })], {}, false))).toEqual({ kind: 'cut' });
    expect(faultOf(() => events([], {}, true))).toEqual({ kind: 'cut' });
  });

  it('takes usage that counts reasoning only in the total', () => {
    const usage = {
      prompt_tokens: 10,
      completion_tokens: 5,
      total_tokens: 35,
      completion_tokens_details: { reasoning_tokens: 20 },
    };
    expect(fold(events([delta({ content: 'a' }, 'stop'), { choices: [], usage }])).usage).toEqual({
      inputTokens: 10,
      cachedTokens: 0,
      outputTokens: 25,
      reasoningTokens: 20,
    });
  });
});

describe('probabilities', () => {
  const chunk = (content: string, logprobs: unknown) => ({
    choices: [{ index: 0, delta: { content }, logprobs, finish_reason: null }],
  });
  const token = (text: string) => ({ token: text, logprob: -1, bytes: null, top_logprobs: [] });

  it('stand with the text of their chunk; bytes are made up where none came', () => {
    const [event] = new ChunkReader().push(chunk('é!', { content: [token('é'), token('!')] }));
    expect(event).toEqual({
      type: 'text',
      delta: 'é!',
      logprobs: [
        { token: 'é', logprob: -1, bytes: [0xc3, 0xa9], top_logprobs: [] },
        { token: '!', logprob: -1, bytes: [33], top_logprobs: [] },
      ],
    });
  });

  it.each([[null], [{}], [{ content: null }], [{ content: [null, { token: 1 }] }], ['text']])(
    'are left out when they are %j',
    (logprobs) => {
      expect(new ChunkReader().push(chunk('a', logprobs))).toEqual([{ type: 'text', delta: 'a' }]);
    },
  );
});

describe('oddities', () => {
  it('ignores empty and null deltas, empty choices, chunks without any', () => {
    const odd = [
      delta(null),
      delta({}),
      delta({ content: null, tool_calls: null }),
      { choices: [] },
      {},
      { choices: null },
    ];
    expect(
      events([...odd, delta({ content: 'x' }), ...odd, delta({}, 'stop')]).map(({ type }) => type),
    ).toEqual(['text', 'finish']);
  });

  it('reads an answer that was not streamed', () => {
    const message = {
      role: 'assistant',
      content: 'Both.',
      tool_calls: [
        { id: 'call_1', type: 'function', function: { name: 'python', arguments: '{"code":"1"}' } },
      ],
    };
    const folded = fold(
      events([
        {
          choices: [{ message, finish_reason: 'tool_calls' }],
          usage: { prompt_tokens: 1, completion_tokens: 2 },
        },
      ]),
    );
    expect(folded).toMatchObject({ text: 'Both.', calls: [{ id: 'call_1' }], finish: 'tool_calls' });
  });

  it('replaces ids that are no ids, and ids that were used before', () => {
    const call = (id: string) => ({ index: 0, id, function: { name: 'python', arguments: '{}' } });
    const ids = (id: string) =>
      fold(events([delta({ tool_calls: [call(id)] }, 'tool_calls')], { takenCallIds: new Set(['call_0']) }))
        .calls[0]!.id;
    expect(ids('functions.python:0')).toMatch(/^call_[A-Za-z0-9]{24}$/);
    expect(ids('')).toMatch(/^call_[A-Za-z0-9]{24}$/);
    expect(ids('call_0')).toMatch(/^call_[A-Za-z0-9]{24}$/);
    expect(ids('call_1')).toBe('call_1');
  });

  it('refuses a call that never gets a name', () => {
    expect(() =>
      events([delta({ tool_calls: [{ index: 0, id: 'a', function: { arguments: '{}' } }] }, 'stop')]),
    ).toThrow('without naming it');
  });

  it.each([
    [{ error: { message: 'slow down', code: 'rate_limit_exceeded' } }, 429],
    [{ error: { message: 'slow down', code: 429 } }, 429],
    [{ object: 'error', message: 'bad', type: 'BadRequestError', code: 400 }, 400],
    [{ error: 'it broke' }, 502],
    [{ error: { message: 'too long', type: 'exceed_context_size_error', code: 'x' } }, 502],
  ])('takes %j for an error', (chunk, status) => {
    expect(faultOf(() => events([chunk]))).toMatchObject({ kind: 'status', status });
  });

  it.each([[null], ['text'], [42], [[1]]])('takes %j for garbage', (chunk) => {
    expect(faultOf(() => events([chunk]))).toMatchObject({ kind: 'garbage' });
  });
});

describe('any chunking', () => {
  /** A generator of numbers that is the same in every run. */
  function* numbers(seed: number): Generator<number> {
    for (let state = seed; ; ) {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      yield state / 2_147_483_648;
    }
  }

  const split = (text: string, random: Generator<number>): string[] => {
    const out: string[] = [];
    for (let start = 0; start < text.length; ) {
      const length = 1 + Math.floor(random.next().value! ** 3 * 12);
      out.push(text.slice(start, start + length));
      start += length;
    }
    return out;
  };

  it.each(Array.from({ length: 50 }, (_, seed) => seed + 1))('adds up to the same (seed %i)', (seed) => {
    const random = numbers(seed);
    const code = ['{"code":"print(\\"ü😀\\")\\n"}', '{"city":"São Paulo","n":{"a":[1,{}]}}'];
    const fragments = code.map((text, index) => [
      { index, id: `call_${index}`, type: 'function', function: { name: `tool_${index}`, arguments: '' } },
      ...split(text, random).map((piece) => ({ index, function: { arguments: piece } })),
    ]);
    const calls: unknown[] = [];
    while (fragments.some((list) => list.length > 0)) {
      const list = fragments[Math.floor(random.next().value! * fragments.length)]!;
      if (list.length > 0) calls.push(delta({ tool_calls: [list.shift()] }));
    }
    const chunks = [
      ...split('<think>Why <b>not</b>? </thin</think>\n\nSo: <think>', random).map((content) =>
        delta({ content }),
      ),
      ...calls,
      delta({}, 'tool_calls'),
    ];
    const { usage: _, ...folded } = fold(events(chunks, { reasoningTags: true }));
    expect(folded.calls.map(({ arguments: given }) => given).sort()).toEqual([...code].sort());
    expect(folded).toMatchObject({
      reasoning: 'Why <b>not</b>? </thin',
      text: 'So: <think>',
      finish: 'tool_calls',
    });
  });
});
