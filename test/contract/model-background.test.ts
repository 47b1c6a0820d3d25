/** Responses that run without a client (checks 99–103), each with both official clients. */
import OpenAI from 'openai';
import { beforeAll, describe, expect, it } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import { Api, eventually } from '../support/api.js';
import { behaviour, errorOf } from '../support/clients.js';
import { AUTO, callOf, OUTPUTS } from '../support/python-model.js';
import {
  eventsOf,
  lastResponse,
  python,
  type Response,
  type StreamEvent,
  useModelServer,
} from './model-server.js';

const models = useModelServer();
const api = (): Api => models.project.api;
const BODY = { model: 'loop', input: 'go', background: true } as const;

const numbersOf = (events: readonly StreamEvent[]) => events.map(({ sequence_number }) => sequence_number);
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

describe.each(behaviour)('$name', ({ connect }) => {
  let client: OpenAI;
  beforeAll(() => {
    client = connect(models.project);
  });

  const ended = (id: string, status: string): Promise<Response> =>
    eventually(
      () => client.responses.retrieve(id, { include: OUTPUTS }),
      (seen) => seen.status === status,
      60_000,
    );

  it('99: is queued at once, and completed when it is polled for', async () => {
    // The first request of all pays for connections and for a pool that is being filled.
    models.fake.script('loop', { text: 'I am here.' });
    await ended((await client.responses.create(BODY)).id, 'completed');
    models.fake.script(
      'loop',
      { calls: [python('import time; time.sleep(1); print(6 * 7)')] },
      { text: 'It is 42.' },
    );
    const begin = performance.now();
    const made = await client.responses.create({ ...BODY, tools: [AUTO] });
    expect(performance.now() - begin).toBeLessThan(1_000);
    expect(made).toMatchObject({
      background: true,
      output: [],
      usage: null,
      completed_at: null,
      error: null,
    });
    expect(made.status).toMatch(/^(queued|in_progress)$/);
    expect(await ended(made.id, 'in_progress')).toMatchObject({ output: [], usage: null });
    const done = await ended(made.id, 'completed');
    expect(done).toMatchObject({ background: true, output_text: 'It is 42.', error: null });
    expect(callOf(done).outputs).toEqual([{ type: 'logs', logs: '42\n' }]);
    expect(done.usage!.total_tokens).toBeGreaterThan(0);
  });

  it('100: a stream that was cut off goes on exactly where it was', async () => {
    models.fake.script(
      'loop',
      { calls: [python('print(1)')] },
      { text: 'a story that is told slowly', chunk: 3, delay_ms: 40 },
    );
    const seen: StreamEvent[] = [];
    const stream = await client.responses.create({ ...BODY, tools: [AUTO], stream: true });
    for await (const event of stream) {
      seen.push(event);
      if (event.type === 'response.output_text.delta') break;
    }
    const [created, queued, running] = seen;
    expect(created).toMatchObject({
      type: 'response.created',
      response: { status: 'queued', background: true },
    });
    expect([queued!.type, running!.type]).toEqual(['response.queued', 'response.in_progress']);
    const { id } = (created as { response: Response }).response;
    const after = seen.at(-1)!.sequence_number;
    const rest = await eventsOf(client.responses.retrieve(id, { stream: true, starting_after: after }));
    expect(numbersOf([...seen, ...rest])).toEqual(upTo(seen.length + rest.length));
    expect(rest.at(-1)!.type).toBe('response.completed');
    const text = [...seen, ...rest].flatMap((each) =>
      each.type === 'response.output_text.delta' ? [each.delta] : [],
    );
    expect(text.join('')).toBe('a story that is told slowly');
    const whole = await eventsOf(client.responses.retrieve(id, { stream: true }));
    expect(whole).toEqual([...seen, ...rest]);
    const end = whole.at(-1)!.sequence_number;
    expect(await eventsOf(client.responses.retrieve(id, { stream: true, starting_after: end }))).toEqual([]);
  });

  it('101: the helper reads a response that has ended, from any number on', async () => {
    models.fake.script('loop', { calls: [python('print(2)')] }, { text: 'Two.' });
    const events = await eventsOf(client.responses.create({ ...BODY, tools: [AUTO], stream: true }));
    const { id } = lastResponse(events);
    const seen: number[] = [];
    const helper = client.responses.stream({ response_id: id, starting_after: 5 });
    helper.on('event', (event) => void seen.push(event.sequence_number));
    const final = await helper.finalResponse();
    expect(final).toMatchObject({ id, status: 'completed', output_text: 'Two.' });
    expect(seen).toEqual(upTo(events.length).slice(6));
  });

  it('102: is cancelled, and Python with it; again is no error', async () => {
    const beat =
      "import time\nfor i in range(600):\n    open('/mnt/data/beat.txt', 'w').write(str(i)); time.sleep(0.1)";
    models.fake.script('loop', { calls: [python(beat)] });
    const container = await client.containers.create({ name: 'cancelled' });
    const tools = [{ type: 'code_interpreter' as const, container: container.id }];
    const stream = await client.responses.create({ ...BODY, tools, stream: true });
    let id = '';
    for await (const event of stream) {
      if (event.type === 'response.created') id = event.response.id;
      if (event.type === 'response.code_interpreter_call.interpreting') break;
    }
    const attached = eventsOf(client.responses.retrieve(id, { stream: true }));
    await sleep(500);
    const cancelled = await client.responses.cancel(id);
    expect(cancelled).toMatchObject({ id, status: 'cancelled', error: null });
    expect(callOf(cancelled)).toMatchObject({ status: 'incomplete' });
    expect(await client.responses.cancel(id)).toMatchObject({ id, status: 'cancelled' });
    expect((await attached).at(-1)).toMatchObject({
      type: 'response.failed',
      response: { status: 'cancelled' },
    });
    const read = () => api().printed(container.id, "print(open('/mnt/data/beat.txt').read())");
    const first = await read();
    await sleep(500);
    expect(await read()).toBe(first);
    await client.containers.delete(container.id);
  });

  it('102: what has ended, or is not in the background, cannot be cancelled', async () => {
    models.fake.script('loop', { text: 'Done.' }, { text: 'Done.' }, { text: 'Do', finish: 'length' });
    const completed = await client.responses.create(BODY);
    await ended(completed.id, 'completed');
    const waited = await client.responses.create({ ...BODY, background: false });
    const incomplete = await client.responses.create({ ...BODY, max_output_tokens: 16 });
    await ended(incomplete.id, 'incomplete');
    const refused = async (id: string) => {
      const { status, message } = await errorOf(client.responses.cancel(id));
      return [status, message];
    };
    expect(await refused(completed.id)).toEqual([400, '400 Cannot cancel a completed response.']);
    expect(await refused(waited.id)).toEqual([400, '400 Cannot cancel a synchronous response.']);
    expect(await refused(incomplete.id)).toEqual([400, '400 Cannot cancel an incomplete response.']);
    expect(await refused('resp_x')).toEqual([404, "404 Response with id 'resp_x' not found."]);
  });

  it('103: only a background response that was streamed can be streamed again', async () => {
    models.fake.script('loop', { text: 'Done.' }, { text: 'Done.' });
    const waited = await client.responses.create({ ...BODY, background: false });
    const quiet = await client.responses.create(BODY);
    for (const { id } of [waited, quiet]) {
      const error = await errorOf(client.responses.retrieve(id, { stream: true }));
      expect(error).toMatchObject({ status: 400, param: 'stream' });
    }
    const unknown = await errorOf(client.responses.retrieve('resp_x', { stream: true }));
    expect(unknown).toMatchObject({ status: 404 });
  });

  it('cannot be deleted while it runs, nor be left unstored', async () => {
    models.fake.script('loop', { text: 'slow', chunk: 1, delay_ms: 400 });
    const { id } = await client.responses.create(BODY);
    const running = await errorOf(client.responses.delete(id));
    expect(running).toMatchObject({ status: 400, message: '400 Cannot delete an in-progress response.' });
    await ended(id, 'completed');
    await client.responses.delete(id);
    expect(await errorOf(client.responses.retrieve(id))).toMatchObject({ status: 404 });
    const unstored = await errorOf(client.responses.create({ ...BODY, store: false }));
    expect(unstored).toMatchObject({ code: 'unsupported_parameter', param: 'background' });
  });
});
