/** What official clients do beside plain requests: parse, mix tools, keep conversations (checks 84–88, 95, 97, 98). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import OpenAI from 'openai';
import { zodTextFormat } from 'openai/helpers/zod';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { textOf } from '../fakes/model-endpoint/script.js';
import { collect, current, errorOf } from '../support/clients.js';
import { AUTO, callOf, OUTPUTS } from '../support/python-model.js';
import {
  CITY,
  eventsOf,
  lastResponse,
  python,
  type Response,
  type StreamEvent,
  useModelServer,
} from './model-server.js';

const models = useModelServer();
const BODY = { model: 'loop', input: 'go' } as const;
const callsCity = { name: 'get_city', arguments: '{"country":"IT"}', id: 'call_city' };

/** Event types that the newest client knows, as its declarations list them. */
const KNOWN_EVENTS = new Set(
  [
    ...readFileSync(
      join(import.meta.dirname, '../../node_modules/openai/resources/responses/responses.d.ts'),
      'utf8',
    ).matchAll(/type: '((?:response\.[a-z_.]+)|error)'/g),
  ].map((match) => match[1]!),
);

describe.each(current)('$name', ({ connect }) => {
  let client: OpenAI;
  beforeAll(() => {
    client = connect(models.project);
  });

  it('84: a function is called, answered, and the answer used', async () => {
    models.fake.script('loop', { calls: [callsCity] }, { text: 'Rome it is.' });
    const first = await client.responses.create({ ...BODY, tools: [CITY] });
    expect(first.status).toBe('completed');
    expect(first.output).toMatchObject([
      { type: 'function_call', call_id: 'call_city', name: 'get_city', status: 'completed' },
    ]);
    expect(JSON.parse((first.output[0] as OpenAI.Responses.ResponseFunctionToolCall).arguments)).toEqual({
      country: 'IT',
    });
    const next = { ...BODY, tools: [CITY], previous_response_id: first.id };
    const error = await errorOf(client.responses.create(next));
    expect(error).toMatchObject({
      status: 400,
      param: 'input',
      message: expect.stringContaining('call_city'),
    });
    const answer = { type: 'function_call_output', call_id: 'call_city', output: 'Rome' } as const;
    expect((await client.responses.create({ ...next, input: [answer] })).output_text).toBe('Rome it is.');
  });

  it('85: an answer of a given form is parsed', async () => {
    const shape = z.object({ city: z.string(), inhabitants: z.number() });
    models.fake.script('loop', { text: '{"city":"Rome","inhabitants":2800000}' });
    const made = await client.responses.parse({ ...BODY, text: { format: zodTextFormat(shape, 'place') } });
    expect(made.output_parsed).toEqual({ city: 'Rome', inhabitants: 2_800_000 });
    expect(made.text!.format).toMatchObject({ type: 'json_schema', name: 'place', strict: true });
    models.fake.script('loop', { refusal: 'I will not.' });
    const refused = await client.responses.parse({
      ...BODY,
      text: { format: zodTextFormat(shape, 'place') },
    });
    expect(refused.output_parsed).toBeNull();
  });

  it('86: python runs here, a function is the client’s', async () => {
    models.fake.script('loop', { calls: [python('x = 20; print(x)'), callsCity] });
    const tools = [AUTO, CITY];
    const first = await client.responses.create({ ...BODY, tools, include: OUTPUTS });
    expect(first.output.map(({ type }) => type).toSorted()).toEqual([
      'code_interpreter_call',
      'function_call',
    ]);
    expect(callOf(first).outputs).toEqual([{ type: 'logs', logs: '20\n' }]);
    models.fake.script('loop', { calls: [python('print(x + 1)')] }, { text: 'Rome, 21.' });
    const second = await client.responses.create({
      ...BODY,
      tools,
      include: OUTPUTS,
      previous_response_id: first.id,
      input: [{ type: 'function_call_output', call_id: 'call_city', output: 'Rome' }],
    });
    expect([second.output_text, callOf(second).outputs]).toEqual([
      'Rome, 21.',
      [{ type: 'logs', logs: '21\n' }],
    ]);
  });

  it('87: two responses of a conversation know of each other', async () => {
    const { id } = await client.conversations.create({});
    models.fake.script('loop', { text: 'Hello, Ann.' }, { text: 'You are Ann.' });
    const one = await client.responses.create({ ...BODY, conversation: id, input: 'I am Ann.' });
    expect(one.conversation).toEqual({ id });
    const two = await client.responses.create({ ...BODY, conversation: { id }, input: 'Who am I?' });
    expect(two.conversation).toEqual({ id });
    expect(models.asked().at(-1)!.messages.map(textOf)).toEqual(['I am Ann.', 'Hello, Ann.', 'Who am I?']);
    const items = await collect(client.conversations.items.list(id, { limit: 3, order: 'asc' }));
    expect(items.map((item) => (item as { role?: string }).role)).toEqual([
      'user',
      'assistant',
      'user',
      'assistant',
    ]);
    const newest = await client.conversations.items.list(id, { limit: 1 });
    expect(newest).toMatchObject({ has_more: true, data: [{ role: 'assistant' }] });
    const lost = await errorOf(client.responses.create({ ...BODY, conversation: 'conv_x' }));
    expect(lost).toMatchObject({ status: 404, message: "404 Conversation with id 'conv_x' not found." });
  });

  it('87: one response at a time', async () => {
    const { id } = await client.conversations.create({});
    models.fake.script('loop', { text: 'a slow one', chunk: 2, delay_ms: 150 }, { text: 'Now.' });
    const stream = await client.responses.create({ ...BODY, conversation: id, stream: true });
    const iterator = stream[Symbol.asyncIterator]();
    await iterator.next();
    const error = await errorOf(client.responses.create({ ...BODY, conversation: id }));
    expect(error).toMatchObject({ status: 400, code: 'conversation_locked', param: 'conversation' });
    while (!(await iterator.next()).done);
    expect((await client.responses.create({ ...BODY, conversation: id })).status).toBe('completed');
  });

  it('88: items are added, read, and taken away', async () => {
    const metadata = { topic: 'demo' };
    const made = await client.conversations.create({ metadata, items: [{ role: 'user', content: 'first' }] });
    expect(made).toMatchObject({ id: expect.stringMatching(/^conv_/), object: 'conversation', metadata });
    const added = await client.conversations.items.create(made.id, {
      items: [
        { type: 'message', role: 'user', content: 'second' },
        { type: 'message', role: 'developer', content: [{ type: 'input_text', text: 'third' }] },
      ],
    });
    expect(added).toMatchObject({
      object: 'list',
      has_more: false,
      data: [{ role: 'user' }, { role: 'developer' }],
    });
    const [second, third] = added.data as { id: string }[];
    expect([added.first_id, added.last_id]).toEqual([second!.id, third!.id]);
    const read = await client.conversations.items.retrieve(second!.id, { conversation_id: made.id });
    expect(read).toEqual({ ...added.data[0] });
    const left = await client.conversations.items.delete(second!.id, { conversation_id: made.id });
    expect(left).toMatchObject({ id: made.id, object: 'conversation' });
    const missing = client.conversations.items.retrieve(second!.id, { conversation_id: made.id });
    expect(await errorOf(missing)).toMatchObject({ status: 404 });
    expect(await collect(client.conversations.items.list(made.id))).toHaveLength(2);
    const renamed = await client.conversations.update(made.id, { metadata: { topic: 'other' } });
    expect(renamed.metadata).toEqual({ topic: 'other' });
    const many = Array.from({ length: 21 }, () => ({ role: 'user' as const, content: 'x' }));
    const refused = await errorOf(client.conversations.items.create(made.id, { items: many }));
    expect(refused).toMatchObject({ status: 400, code: 'array_above_max_length', param: 'items' });
    expect(await client.conversations.delete(made.id)).toEqual({
      id: made.id,
      object: 'conversation.deleted',
      deleted: true,
    });
    expect(await errorOf(client.conversations.retrieve(made.id))).toMatchObject({ status: 404 });
  });

  it('95: a model that fails in the middle ends in response.failed', async () => {
    models.fake.script('loop', { text: 'It was a dark night', chunk: 4, fault: { kind: 'cut', after: 3 } });
    const final = await client.responses.stream({ ...BODY } as never).finalResponse();
    expect(final).toMatchObject({ status: 'failed', error: { code: 'server_error' } });
  });

  it('97: the token limit ends the stream as incomplete', async () => {
    models.fake.script('loop', { text: 'It was a', finish: 'length' });
    const events = await eventsOf(client.responses.create({ ...BODY, max_output_tokens: 16, stream: true }));
    expect(events.at(-1)).toMatchObject({
      type: 'response.incomplete',
      response: {
        status: 'incomplete',
        incomplete_details: { reason: 'max_output_tokens' },
        completed_at: null,
      },
    });
    expect(lastResponse(events).usage).not.toBeNull();
  });

  it('98: every event is one that the client knows', async () => {
    expect(KNOWN_EVENTS.size).toBeGreaterThan(40);
    const seen = new Set<string>();
    const note = (events: readonly StreamEvent[]) => events.forEach(({ type }) => seen.add(type));
    models.fake.script(
      'loop',
      { reasoning: 'Hm.', text: 'First.', calls: [python('1/0'), callsCity] },
      { reasoning: 'Hm.', text: 'x', finish: 'length' },
      { refusal: 'No.' },
      { fault: { kind: 'status', status: 400 } },
    );
    const ask = (change: object) =>
      eventsOf(client.responses.create({ ...BODY, tools: [AUTO, CITY], stream: true, ...change }));
    note(await ask({}));
    note(await ask({ reasoning: { summary: 'auto' }, max_output_tokens: 16 }));
    note(await ask({ background: true }));
    note(await ask({}));
    expect([...seen].filter((type) => !KNOWN_EVENTS.has(type))).toEqual([]);
    expect(seen.size).toBeGreaterThanOrEqual(24);
  });
});

/** The whole answer of a run with a helper that checks every event against those before it. */
describe.each(current)('the helper of $name', ({ connect }) => {
  it('91: follows a run of every kind of item', async () => {
    const client = connect(models.project);
    models.fake.script(
      'loop',
      {
        reasoning: 'I think.',
        text: 'Let me see.',
        calls: [python("open('/mnt/data/r.txt','w').write('r')")],
      },
      { reasoning: 'Done.', text: '[r](sandbox:/mnt/data/r.txt)', calls: [callsCity] },
    );
    const body = { ...BODY, tools: [AUTO, CITY] as const };
    const final = (await client.responses.stream(body as never).finalResponse()) as unknown as Response;
    const stored = await client.responses.retrieve(final.id);
    const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown;
    const items = final.output.map((item) => {
      const { parsed_arguments: _, ...rest } = item as unknown as Record<string, unknown>;
      const content = (rest['content'] as { parsed?: unknown }[] | undefined)?.map(
        ({ parsed: __, ...part }) => part,
      );
      return content === undefined ? rest : { ...rest, content };
    });
    expect(plain(items)).toEqual(plain(stored.output));
    expect(final.usage).toEqual(stored.usage);
  });
});
