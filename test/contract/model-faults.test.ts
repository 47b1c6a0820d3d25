/** What becomes of a response when the model endpoint, or the client, fails; and that chunking changes nothing. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import type { Dialect, ScriptedTurn } from '../fakes/model-endpoint/script.js';
import type { Page } from '../support/api.js';
import { MODEL_KEY } from '../support/model-providers.js';
import { AUTO } from '../support/python-model.js';
import {
  CITY,
  eventsOf,
  lastResponse,
  python,
  type Response,
  type StreamEvent,
  useModelServer,
  withoutIds,
} from './model-server.js';

/** Python needs a moment between being told to start and running. */
const SETTLE_MS = 1_500;

const models = useModelServer();

const BODY = { model: 'loop', input: 'go' } as const;
const create = (change = {}): Promise<Response> => models.client.responses.create({ ...BODY, ...change });
const stream = (change = {}, signal?: AbortSignal) =>
  models.client.responses.create({ ...BODY, ...change, stream: true as const }, { signal });

describe('a failing endpoint', () => {
  const status = (code: number, body?: unknown): ScriptedTurn => ({
    fault: { kind: 'status', status: code, retry_after: 0, body },
  });

  it('that does not know the key: the operator is named, the key is not', async () => {
    const response = await create({ model: 'keyless' });
    expect(response).toMatchObject({ status: 'failed', error: { code: 'server_error' } });
    expect(response.error!.message).toMatch(/'locked' does not accept the key of this server \(HTTP 401\)/);
    const log = readFileSync(models.project.server.logFile, 'utf8');
    for (const text of [log, JSON.stringify(response)]) {
      expect(text).not.toContain('the-wrong-key');
      expect(text).not.toContain(MODEL_KEY);
    }
  });

  it.each<[string, ScriptedTurn[], string, RegExp]>([
    ['500', [status(500), status(500)], 'server_error', /HTTP 500/],
    ['429', [status(429), status(429)], 'rate_limit_exceeded', /limits requests/],
    ['404', [status(404)], 'server_error', /does not know the model 'loop'/],
    [
      'garbage',
      [{ fault: { kind: 'garbage' } }, { fault: { kind: 'garbage' } }],
      'server_error',
      /not a chat completion/,
    ],
    [
      'a broken connection',
      [{ fault: { kind: 'disconnect' } }, { fault: { kind: 'disconnect' } }],
      'server_error',
      /cannot be reached/,
    ],
    [
      'a long input',
      [status(400, { error: { message: 'too long', code: 'context_length_exceeded' } })],
      'context_length_exceeded',
      /context window of the model 'loop'/,
    ],
  ])('%s', async (_, turns, code, message) => {
    models.fake.script('loop', ...turns);
    const response = lastResponse(await eventsOf(stream()));
    expect(response).toMatchObject({
      status: 'failed',
      output: [],
      error: { code, message: expect.stringMatching(message) },
    });
    expect(await models.client.responses.retrieve(response.id)).toMatchObject({
      status: 'failed',
      error: response.error,
    });
  });

  it('that recovers is not noticed', async () => {
    models.fake.script('loop', status(503), { text: 'Here I am.' });
    expect((await create()).output_text).toBe('Here I am.');
  });

  it('in the middle of an answer: what was said is kept, as incomplete', async () => {
    models.fake.script('loop', {
      text: 'It was a dark and stormy night',
      chunk: 6,
      fault: { kind: 'cut', after: 4 },
    });
    const response = lastResponse(await eventsOf(stream()));
    expect(response).toMatchObject({
      status: 'failed',
      output: [{ type: 'message', status: 'incomplete', content: [{ text: 'It was a dark and ' }] }],
      error: { message: expect.stringContaining('ended the answer in the middle') },
    });
  });

  it('after python ran: its item is kept', async () => {
    models.fake.script('loop', { calls: [python('1')] }, status(400, { error: { message: 'no more' } }));
    const response = await create({ tools: [AUTO] });
    expect(response).toMatchObject({
      status: 'failed',
      output: [{ type: 'code_interpreter_call', status: 'completed' }],
    });
  });
});

describe('a client that goes away', () => {
  /** Reads until an event of this type, then hangs up; milliseconds since then. */
  async function leaveAt(
    type: StreamEvent['type'],
    change: object,
  ): Promise<{ event: StreamEvent; since: () => number }> {
    const controller = new AbortController();
    for await (const event of await stream(change, controller.signal)) {
      if (event.type !== type) continue;
      await sleep(SETTLE_MS);
      controller.abort();
      const start = performance.now();
      return { event, since: () => performance.now() - start };
    }
    throw new Error(`there was no ${type}`);
  }

  it('stops the model within two seconds', async () => {
    models.fake.script('loop', { text: 'a long story', chunk: 1, fault: { kind: 'stall', after: 5 } });
    const { since } = await leaveAt('response.output_text.delta', {});
    await vi.waitFor(() => expect(models.fake.requests[0]!.aborted).toBe(true), {
      timeout: 10_000,
      interval: 20,
    });
    expect(since()).toBeLessThan(2_000);
  });

  it('stops Python within two seconds', async () => {
    models.fake.script('loop', { calls: [python('import time\nfor _ in range(600): time.sleep(0.1)')] });
    const container = await models.client.containers.create({ name: 'left alone' });
    const tools = [{ type: 'code_interpreter', container: container.id }];
    const { since } = await leaveAt('response.code_interpreter_call.interpreting', { tools });
    const { api } = models.project;
    await vi.waitFor(
      async () => {
        const { body } = await api.request<Page>('GET', `/containers/${container.id}/executions`);
        expect(body.data[0]).toMatchObject({ status: expect.stringMatching(/interrupted|cancelled/) });
      },
      { timeout: 20_000, interval: 50 },
    );
    expect(since()).toBeLessThan(2_000);
    expect(models.asked()).toHaveLength(1);
    await models.client.containers.delete(container.id);
  });
});

describe('any chunking', () => {
  const TURN: ScriptedTurn = {
    reasoning: 'First I think, then — ü😀 — I act.',
    text: 'A text with [a link](sandbox:/mnt/data/none.txt), “quotes” and 😀.',
    calls: [
      { name: 'get_city', arguments: '{}', id: 'call_a' },
      { name: 'get_city', arguments: '{ }', id: 'call_b' },
    ],
    usage: { prompt_tokens: 10, completion_tokens: 20 },
  };
  const DIALECTS: Dialect[] = ['openai', 'vllm', 'ollama', 'litellm', 'llama.cpp', 'openrouter'];

  it('adds up to the response without a stream', async () => {
    models.fake.script('loop', { ...TURN, dialect: 'whole' });
    const whole = await create({ tools: [CITY] });
    expect(whole.output.map(({ type }) => type)).toEqual([
      'reasoning',
      'message',
      'function_call',
      'function_call',
    ]);
    for (const [index, dialect] of [...DIALECTS, ...DIALECTS, ...DIALECTS].entries()) {
      models.fake.script('loop', { ...TURN, dialect, chunk: [1, 3, 11, 29][index % 4] });
      const events = await eventsOf(stream({ tools: [CITY] }));
      const last = lastResponse(events);
      expect(withoutIds(last.output), dialect).toEqual(withoutIds(whole.output));
      expect(last.usage).toEqual(whole.usage);
      const told = events
        .flatMap((event) => (event.type === 'response.output_text.delta' ? [event.delta] : []))
        .join('');
      expect(told).toBe(TURN.text);
    }
  });
});
