/**
 * The server is killed while background responses are in every phase of their life, again and again:
 * each comes to its end, its events go on where they were cut off, and its callback comes. Five times
 * six phases are thirty runs cut off by SIGKILL; a last turn asks politely, by SIGTERM.
 */
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ScriptedTurn } from '../fakes/model-endpoint/script.js';
import { ModelEndpoint } from '../fakes/model-endpoint/server.js';
import { WebhookReceiver } from '../fakes/webhook-receiver/receiver.js';
import { Api, eventually } from '../support/api.js';
import { showLogOnFailure } from '../support/project.js';
import { startServer, type TestServer } from '../support/server.js';
import { python, type Response, type StreamEvent } from './model-server.js';

const START_TIMEOUT_MS = 300_000;
const END_TIMEOUT_MS = 120_000;
const TOOLS: OpenAI.Responses.Tool[] = [{ type: 'code_interpreter', container: { type: 'auto' } }];
const STALL = { kind: 'stall', after: 0 } as const;
const LONG = 'a text that is told in many small pieces, of which only some arrive';

interface Phase {
  /** Also the name of its model. */
  readonly name: string;
  readonly turns: readonly ScriptedTurn[];
  /** Whether the phase has come, by what was seen of the stream. */
  readonly reached: (events: readonly StreamEvent[]) => boolean;
  /** Made with the key that may have one run at a time. */
  readonly limited?: boolean;
  /** What it answers in the end. */
  readonly answer: string;
}

const has = (events: readonly StreamEvent[], type: string, times = 1) =>
  events.filter((event) => event.type === type).length >= times;

const PHASES: readonly Phase[] = [
  {
    name: 'started',
    turns: [{ fault: STALL }, { text: 'started' }],
    reached: (events) => has(events, 'response.in_progress') && fake.requestsOf('started').length > 0,
    answer: 'started',
  },
  {
    name: 'streaming',
    turns: [{ text: LONG, chunk: 4, fault: { kind: 'stall', after: 6 } }, { text: 'streaming' }],
    reached: (events) => has(events, 'response.output_text.delta', 3),
    answer: 'streaming',
  },
  {
    name: 'running',
    turns: [{ calls: [python('import time\ntime.sleep(300)')] }, { text: 'running' }],
    reached: (events) => has(events, 'response.code_interpreter_call.interpreting'),
    limited: true,
    answer: 'running',
  },
  {
    name: 'queued',
    turns: [{ text: 'queued' }],
    // Behind the one above, which holds the only slot.
    reached: () => true,
    limited: true,
    answer: 'queued',
  },
  {
    name: 'between',
    turns: [{ calls: [python('print(42)')] }, { fault: STALL }, { text: 'between' }],
    reached: (events) =>
      has(events, 'response.code_interpreter_call.completed') && fake.requestsOf('between').length > 1,
    answer: 'between',
  },
  {
    name: 'ending',
    turns: [{ text: 'ending' }, { text: 'ending' }],
    reached: (events) => has(events, 'response.output_text.done'),
    answer: 'ending',
  },
];

const fake = new ModelEndpoint();
const receiver = new WebhookReceiver();
let server: TestServer;
let open: OpenAI;
let limited: OpenAI;
showLogOnFailure(() => server);

beforeAll(async () => {
  await Promise.all([fake.start(), receiver.start()]);
  const models = PHASES.map(({ name }) => name);
  const provider = { name: 'fake', base_url: fake.url, models, max_retries: 0, timeout_ms: 120_000 };
  server = await startServer({
    name: 'background',
    env: {
      SANDBOX_POOL: '1g=2',
      MODEL_PROVIDERS: JSON.stringify([provider]),
      RESPONSE_LEASE_SECONDS: '3',
    },
  });
  const admin = new Api(`${server.origin}/admin/v1`, server.adminKey);
  const { id } = await admin.ok<{ id: string }>('POST', '/projects', { name: 'limited', concurrent_runs: 1 });
  const { secret } = await admin.ok<{ secret: string }>('POST', `/projects/${id}/api_keys`, { name: 'x' });
  const connect = (apiKey: string) => new OpenAI({ baseURL: server.url, apiKey, maxRetries: 0 });
  [open, limited] = [connect(server.apiKey), connect(secret)];
}, START_TIMEOUT_MS);
afterAll(async () => {
  await server?.stop();
  await Promise.all([fake.stop(), receiver.stop()]);
});

interface Told {
  readonly phase: Phase;
  readonly client: OpenAI;
  readonly callback: string;
  readonly id: string;
  /** What its stream said until the server was gone. */
  readonly events: StreamEvent[];
  /** Resolves when that is over. */
  readonly cut: Promise<void>;
}

const idOf = (events: readonly StreamEvent[]): string | undefined =>
  events.flatMap((event) => ('response' in event ? [event.response.id] : []))[0];

/** Begins a response and follows it until its phase has come. */
async function bring(phase: Phase, round: number): Promise<Told> {
  const client = phase.limited ? limited : open;
  const callback = `/${phase.name}-${round}`;
  const body = {
    model: phase.name,
    input: 'go',
    tools: TOOLS,
    background: true,
    callback_url: receiver.url(callback),
  };
  const events: StreamEvent[] = [];
  if (phase.name === 'queued') {
    const { id } = (await client.responses.create(body)) as Response;
    return { phase, client, callback, id, events, cut: Promise.resolve() };
  }
  const stream = await client.responses.create({ ...body, stream: true });
  const cut = (async () => {
    for await (const event of stream) events.push(event);
  })().catch(() => undefined);
  const come = await eventually(
    async () => phase.reached(events),
    (reached) => reached,
    60_000,
  );
  if (!come)
    throw new Error(`${phase.name} did not come so far: ${events.map(({ type }) => type).join(' ')}`);
  return { phase, client, callback, id: idOf(events)!, events, cut };
}

async function replay({ client, id }: Told, starting_after?: number): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  const query = starting_after === undefined ? {} : { starting_after };
  for await (const event of await client.responses.retrieve(id, { stream: true, ...query }))
    events.push(event);
  return events;
}

async function endsWell(told: Told): Promise<void> {
  const { phase, client, callback, id, events: before } = told;
  const { status, error, output_text } = await eventually(
    () => client.responses.retrieve(id),
    (response) => response.status !== 'queued' && response.status !== 'in_progress',
    END_TIMEOUT_MS,
  );
  expect([phase.name, status, error]).toEqual([phase.name, 'completed', null]);
  expect(output_text, 'what was cut off is not part of it').toBe(phase.answer);
  const [call] = await receiver.called(callback, 1, 30_000);
  expect(JSON.parse(call!.body)).toMatchObject({ type: 'response.completed', data: { id } });
  if (phase.name === 'queued') return;
  const all = await replay(told);
  expect(all.map(({ sequence_number }) => sequence_number)).toEqual(all.map((_, index) => index));
  expect(all.slice(0, before.length), 'what was told before').toEqual(before);
  expect(all.filter(({ type }) => type === 'response.completed')).toHaveLength(1);
  expect(all.at(-1)).toMatchObject({ type: 'response.completed' });
  const last = before.at(-1)!.sequence_number;
  expect(await replay(told, last), 'what is told after').toEqual(all.slice(last + 1));
}

describe.each([
  [1, 'SIGKILL'],
  [2, 'SIGKILL'],
  [3, 'SIGKILL'],
  [4, 'SIGKILL'],
  [5, 'SIGKILL'],
  [6, 'SIGTERM'],
] as const)('round %i: after %s', (round, signal) => {
  const told: Told[] = [];
  beforeAll(async () => {
    fake.reset();
    for (const { name, turns } of PHASES) fake.script(name, ...turns);
    const others = PHASES.filter(({ name }) => name !== 'ending' && name !== 'queued');
    told.push(...(await Promise.all(others.map((phase) => bring(phase, round)))));
    told.push(await bring(PHASES.find(({ name }) => name === 'queued')!, round));
    told.push(await bring(PHASES.find(({ name }) => name === 'ending')!, round));
    await server.restart(signal);
    await Promise.all(told.map(({ cut }) => cut));
  }, START_TIMEOUT_MS);

  it.each(PHASES.map(({ name }) => name))(
    'a response that was %s comes to its end, and so do its events',
    async (name) => endsWell(told.find(({ phase }) => phase.name === name)!),
    2 * END_TIMEOUT_MS,
  );

  it('nothing is left that waits or runs', async () => {
    const admin = new Api(`${server.origin}/admin/v1`, server.adminKey);
    const executions = await eventually(
      () => admin.ok<{ data: unknown[] }>('GET', '/executions?status=running'),
      ({ data }) => data.length === 0,
    );
    expect(executions.data).toEqual([]);
    const deliveries = await eventually(
      () => admin.ok<{ data: unknown[] }>('GET', '/webhook_deliveries?status=pending'),
      ({ data }) => data.length === 0,
      30_000,
    );
    expect(deliveries.data).toEqual([]);
  });
});
