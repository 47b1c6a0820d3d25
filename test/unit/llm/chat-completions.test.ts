/** The adapter against a real HTTP server that misbehaves: what is retried, what is said, what is kept quiet. */
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { modelProviderSchema } from '../../../orchestrator/src/config/model-providers.js';
import {
  ChatCompletionsLlm,
  waitBefore,
} from '../../../orchestrator/src/llm/chat-completions/chat-completions.llm.js';
import { Endpoint, readRetryAfter } from '../../../orchestrator/src/llm/chat-completions/endpoint.js';
import { LlmError, type LlmEvent, type LlmRequest } from '../../../orchestrator/src/llm/llm.js';
import type { ScriptedTurn } from '../../fakes/model-endpoint/script.js';
import { ModelEndpoint } from '../../fakes/model-endpoint/server.js';
import { fold } from './fold.js';

vi.setConfig({ testTimeout: 30_000 });

const KEY = 'sk-upstream-secret-0123456789';
const fake = new ModelEndpoint({ key: KEY });
const said: string[] = [];

beforeAll(async () => {
  await fake.start();
  const note = (...parts: unknown[]) => void said.push(JSON.stringify(parts));
  Logger.overrideLogger({ log: note, warn: note, error: note, debug: note, verbose: note });
});
afterAll(async () => fake.stop());
beforeEach(() => fake.reset());

const REQUEST: LlmRequest = {
  model: 'm',
  messages: [{ role: 'user', parts: [{ type: 'text', text: 'hi' }] }],
  tools: [],
  toolChoice: { type: 'auto' },
  parallelToolCalls: true,
};

function llm(change: Record<string, unknown> = {}): ChatCompletionsLlm {
  const provider = modelProviderSchema.parse({
    name: 'fake',
    base_url: fake.url,
    api_key: KEY,
    models: ['m'],
    ...change,
  });
  return new ChatCompletionsLlm(new Endpoint(provider), {
    model: 'm',
    upstream: 'm',
    maxTokensField: 'max_tokens',
  });
}

async function run(model: ChatCompletionsLlm, signal = new AbortController().signal): Promise<LlmEvent[]> {
  const events: LlmEvent[] = [];
  for await (const event of model.stream(REQUEST, signal)) events.push(event);
  return events;
}

async function failure(model: ChatCompletionsLlm): Promise<LlmError> {
  const error: unknown = await run(model).then(
    () => new Error('the turn should have failed'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof LlmError)) throw error;
  return error;
}

describe('a good answer', () => {
  const turn: ScriptedTurn = {
    reasoning: 'Let me think about it.',
    text: 'I will run this code: ü😀.',
    calls: [
      { name: 'python', arguments: { code: 'print("ü😀")' } },
      { name: 'other', arguments: '{}' },
    ],
    usage: { prompt_tokens: 5, completion_tokens: 6 },
  };

  it.each(['openai', 'vllm', 'ollama', 'litellm', 'llama.cpp', 'openrouter', 'whole'] as const)(
    'is the same from %s, whatever the size of the pieces',
    async (dialect) => {
      for (const chunk of [1, 7, 1000]) {
        fake.reset();
        fake.script('m', { ...turn, dialect, chunk });
        const folded = fold(await run(llm()));
        expect(folded).toMatchObject({ reasoning: turn.reasoning, text: turn.text, finish: 'tool_calls' });
        expect(folded.calls.map((call) => [call.name, call.arguments])).toEqual([
          ['python', '{"code":"print(\\"ü😀\\")"}'],
          ['other', '{}'],
        ]);
        expect(folded.usage).toMatchObject({ inputTokens: 5, outputTokens: 6 });
      }
    },
  );

  it('is asked for as a stream, with the key and the headers', async () => {
    fake.script('m', { text: 'a' });
    await run(llm({ headers: { 'X-Team': 'blue' } }));
    const [request] = fake.requestsOf('m');
    expect(request!.body).toMatchObject({ stream: true, stream_options: { include_usage: true } });
    expect(request!.headers).toMatchObject({ authorization: `Bearer ${KEY}`, 'x-team': 'blue' });
  });
});

describe('a key', () => {
  it('is not sent when there is none, and may be a header', async () => {
    const open = await new ModelEndpoint().start();
    await run(llm({ base_url: open.url, api_key: undefined }));
    await run(llm({ base_url: open.url, headers: { Authorization: 'Api-Key 12345678' } }));
    expect(open.requests.map(({ headers }) => headers['authorization'])).toEqual([
      undefined,
      'Api-Key 12345678',
    ]);
    await open.stop();
  });

  it('is in no error and in no log, even if the endpoint repeats it', async () => {
    said.length = 0;
    const wrong = 'sk-wrong-secret-9876543210';
    const refused = await failure(llm({ api_key: wrong }));
    expect(refused.code).toBe('rejected');
    expect(refused.message).toMatch(/does not accept the key.*HTTP 401.*operator/);
    fake.script('m', {
      fault: {
        kind: 'status',
        status: 400,
        body: { error: { message: `bad key ${KEY} or Bearer abcdefghijkl` } },
      },
    });
    const repeated = await failure(llm());
    expect(repeated.message).toContain('[redacted]');
    const all = [
      ...said,
      refused.message,
      repeated.message,
      String(refused.stack),
      JSON.stringify(refused),
    ].join('\n');
    expect(said.length).toBeGreaterThan(0);
    for (const secret of [wrong, KEY, 'abcdefghijkl']) expect(all).not.toContain(secret);
  });
});

describe('errors that trying again does not help', () => {
  it.each([
    [403, undefined, 'rejected', /does not let this server use the model 'm'/],
    [402, undefined, 'rejected', /no credit/],
    [404, undefined, 'rejected', /does not know the model 'm'/],
    [
      400,
      { error: { message: 'temperature is too high' } },
      'rejected',
      /HTTP 400\): temperature is too high/,
    ],
    [422, { detail: [{ msg: 'field required' }] }, 'rejected', /field required/],
    [
      400,
      { error: { message: 'x', code: 'context_length_exceeded' } },
      'context_length_exceeded',
      /too long for the context window/,
    ],
    [
      400,
      {
        object: 'error',
        message: "This model's maximum context length is 4096 tokens",
        type: 'BadRequestError',
      },
      'context_length_exceeded',
      /4096/,
    ],
    [
      400,
      {
        error: {
          code: 400,
          message: 'the request exceeds the available context size',
          type: 'exceed_context_size_error',
        },
      },
      'context_length_exceeded',
      /context/,
    ],
    [
      500,
      { error: { code: 500, message: 'Context size has been exceeded.', type: 'server_error' } },
      'context_length_exceeded',
      /Context size/,
    ],
    [429, { error: { message: 'pay', code: 'insufficient_quota' } }, 'rate_limited', /quota .* used up/],
  ] as const)('%i %j', async (status, body, code, message) => {
    fake.script('m', { fault: { kind: 'status', status, body } }, { text: 'never' });
    const error = await failure(llm());
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
    expect(fake.requests).toHaveLength(1);
  });
});

describe('errors in the words of their servers', () => {
  interface Said {
    readonly server: string;
    readonly status?: number;
    readonly body?: unknown;
    /** What comes in a stream instead. */
    readonly stream?: { readonly error: unknown };
    readonly means: 'context' | 'tools';
  }
  const all = JSON.parse(
    readFileSync(join(import.meta.dirname, '../../fixtures/llm/errors.json'), 'utf8'),
  ) as Said[];

  it.each(all)('$server: $means', async ({ status, body, stream, means }) => {
    const fault = stream
      ? ({ kind: 'error', after: 0, error: stream.error } as const)
      : ({ kind: 'status', status: status ?? 0, body } as const);
    fake.script('m', { text: 'x', fault }, { text: 'never' });
    expect(await failure(llm())).toMatchObject(
      means === 'context'
        ? {
            code: 'context_length_exceeded',
            message: expect.stringContaining("context window of the model 'm'"),
          }
        : { code: 'rejected', message: expect.stringContaining("The model 'm' cannot call tools") },
    );
    expect(fake.requests).toHaveLength(1);
  });
});

describe('errors that pass', () => {
  it.each<[string, ScriptedTurn]>([
    ['500', { fault: { kind: 'status', status: 500, body: { error: 'oops' } } }],
    ['503', { fault: { kind: 'status', status: 503 } }],
    ['429', { fault: { kind: 'status', status: 429, retry_after: 0 } }],
    ['a broken connection', { fault: { kind: 'disconnect' } }],
    ['garbage', { fault: { kind: 'garbage' } }],
    ['half an event', { fault: { kind: 'garbage', after: 0 } }],
    ['an end before the beginning', { text: 'x', fault: { kind: 'cut', after: 1 } }],
    [
      'an error as the first event',
      { text: 'x', fault: { kind: 'error', after: 0, error: { message: 'overloaded', code: 503 } } },
    ],
  ])('%s is tried again', async (_, turn) => {
    fake.script('m', turn, { text: 'in the end' });
    expect(fold(await run(llm())).text).toBe('in the end');
    expect(fake.requests).toHaveLength(2);
  });

  it('but not for ever', async () => {
    fake.script(
      'm',
      ...Array.from({ length: 3 }, () => ({
        fault: { kind: 'status', status: 503, retry_after: 0 } as const,
      })),
    );
    expect(await failure(llm({ max_retries: 2 }))).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('HTTP 503'),
    });
    expect(fake.requests).toHaveLength(3);
  });

  it('and not when the endpoint wants a long pause', async () => {
    fake.script('m', { fault: { kind: 'status', status: 429, retry_after: 600 } });
    expect(await failure(llm())).toMatchObject({
      code: 'rate_limited',
      message: expect.stringContaining('Try again in 600 s'),
    });
    expect(fake.requests).toHaveLength(1);
  });

  it('and not once something was passed on', async () => {
    for (const fault of [
      { kind: 'disconnect', after: 3 },
      { kind: 'cut', after: 3 },
      { kind: 'garbage', after: 3 },
    ] as const) {
      fake.reset();
      fake.script('m', { text: 'a long text that is cut off somewhere', chunk: 4, fault });
      const seen: LlmEvent[] = [];
      const read = (async () => {
        for await (const event of llm().stream(REQUEST, new AbortController().signal)) seen.push(event);
      })();
      await expect(read).rejects.toMatchObject({
        code: fault.kind === 'disconnect' ? 'unavailable' : 'protocol',
      });
      expect(seen.length).toBeGreaterThan(0);
      expect(fake.requests).toHaveLength(1);
    }
  });

  it('an endpoint that is not there', async () => {
    const error = await failure(llm({ base_url: 'http://127.0.0.1:9/v1', max_retries: 1 }));
    expect(error).toMatchObject({
      code: 'unavailable',
      message: "The model provider 'fake' cannot be reached.",
    });
  });
});

describe('silence', () => {
  let mute: Server;
  beforeAll(async () => {
    mute = createServer(() => {});
    await new Promise<void>((done) => void mute.listen(0, '127.0.0.1', done));
  });
  afterAll(() => {
    mute.closeAllConnections();
    mute.close();
  });
  const muteUrl = () => `http://127.0.0.1:${(mute.address() as AddressInfo).port}/v1`;

  it('before the answer, and in the middle of it', async () => {
    const short = { timeout_ms: 1000, max_retries: 0 };
    expect(await failure(llm({ base_url: muteUrl(), ...short }))).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('said nothing for 1 s'),
    });
    fake.script('m', { text: 'some', chunk: 1, fault: { kind: 'stall', after: 2 } });
    expect(await failure(llm(short))).toMatchObject({ code: 'unavailable' });
  });

  it.each(['before', 'during', 'between attempts'])('an abort %s ends within moments', async (moment) => {
    const controller = new AbortController();
    if (moment === 'during') fake.script('m', { text: 'some', fault: { kind: 'stall', after: 1 } });
    if (moment === 'between attempts')
      fake.script('m', { fault: { kind: 'status', status: 503, retry_after: 20 } });
    const model = moment === 'before' ? llm({ base_url: muteUrl() }) : llm();
    const read = run(model, controller.signal);
    read.catch(() => {});
    await new Promise((done) => setTimeout(done, 300));
    const start = performance.now();
    controller.abort(new Error('enough'));
    await expect(read).rejects.toThrow('enough');
    expect(performance.now() - start).toBeLessThan(10_000);
    if (moment === 'during') await vi.waitFor(() => expect(fake.requests[0]!.aborted).toBe(true));
  });
});

describe('waiting', () => {
  const again = { retry: true, retryAfterMs: null };
  it('doubles up to a bound, and ends', () => {
    const waits = [0, 1, 2, 3, 4, 5, 6].map((attempt) => waitBefore(attempt, again, 6, () => 1));
    expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 8000, null]);
    expect(waitBefore(0, again, 2, () => 0)).toBe(375);
    expect(waitBefore(0, { ...again, retry: false }, 2)).toBeNull();
    expect(waitBefore(0, { ...again, retryAfterMs: 1234 }, 2)).toBe(1234);
  });

  it.each([
    [{ 'retry-after': '3' }, 3000],
    [{ 'retry-after-ms': '250' }, 250],
    [{ 'retry-after': 'Thu, 01 Jan 1970 00:00:05 GMT' }, 4000],
    [{ 'retry-after': 'soon' }, null],
    [{}, null],
  ])('reads %j', (headers, expected) => {
    expect(readRetryAfter(new Headers(headers as Record<string, string>), 1000)).toBe(expected);
  });
});
