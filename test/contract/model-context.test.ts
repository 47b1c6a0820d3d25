/** What a model is told of a long conversation: counted, cut, compacted (docs/contract/responses.md). */
import type OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { textOf } from '../fakes/model-endpoint/script.js';
import { Api, type Json } from '../support/api.js';
import { behaviour, errorOf } from '../support/clients.js';
import { newProject } from '../support/project.js';
import { AUTO, callOf, OUTPUTS } from '../support/python-model.js';
import { CITY, eventsOf, lastResponse, python, type Response, useModelServer } from './model-server.js';

const models = useModelServer();
type Create = OpenAI.Responses.ResponseCreateParamsNonStreaming;

const create = (change: Partial<Create> = {}): Promise<Response> =>
  models.client.responses.create({ model: 'loop', input: 'go', ...change });

/** About this many tokens: a word of English is mostly one. */
const words = (count: number): string => 'word '.repeat(count);
const said = (number = 0): string[] => models.asked('narrow')[number]!.messages.map(textOf);
const api = (): Api => models.project.api;

describe.each(behaviour)('$name: input_tokens', ({ connect }) => {
  const count = async (body: object = {}) => {
    const client = connect(models.project);
    const { input_tokens, object } = await client.responses.inputTokens.count(body as never);
    expect(object).toBe('response.input_tokens');
    return input_tokens;
  };

  it('counts what a request would send, and sends nothing', async () => {
    expect(await count()).toBe(0);
    const short = await count({ model: 'loop', input: 'Hello, world!' });
    expect(short).toBeGreaterThan(3);
    expect(short).toBeLessThan(12);
    const long = await count({ input: words(1_000) });
    expect(long).toBeGreaterThan(990);
    expect(long).toBeLessThan(1_020);
    expect(await count({ input: '数据'.repeat(500) })).toBeGreaterThan(400);
    const more = [
      { instructions: 'Be brief.' },
      { tools: [CITY] },
      { tools: [AUTO] },
      { text: { format: { type: 'json_schema', name: 'a', schema: { type: 'object' } } } },
    ];
    for (const each of more) expect(await count({ input: 'Hello, world!', ...each })).toBeGreaterThan(short);
    expect(models.asked()).toEqual([]);
  });

  it('counts the conversation before it', async () => {
    models.fake.script('loop', { text: words(200) });
    const first = await create({ input: words(300) });
    const counted = await count({ previous_response_id: first.id, input: 'and?' });
    expect(counted).toBeGreaterThan(490);
    expect(counted).toBeLessThan(530);
  });

  it('refuses what a response would refuse', async () => {
    await expect(count({ model: 'nope', input: 'x' })).rejects.toMatchObject({ code: 'model_not_found' });
    await expect(count({ foo: 1 })).rejects.toMatchObject({ code: 'unknown_parameter', param: 'foo' });
    await expect(count({ previous_response_id: 'resp_x' })).rejects.toMatchObject({ status: 400 });
  });
});

describe('compaction', () => {
  const compact = (change: object = {}) =>
    api().post<Json>('/responses/compact', { model: 'loop', ...change });

  it('keeps what the user said, and a summary that later turns go on from', async () => {
    models.fake.script('loop', { calls: [python('secret = 41')] }, { text: 'Set.' });
    const first = await create({ input: 'Set it.', tools: [AUTO], instructions: 'Be brief.' });
    models.fake.script('loop', {
      text: 'The variable `secret` is 41.',
      usage: { prompt_tokens: 90, completion_tokens: 9 },
    });
    const compacted = await models.client.responses.compact({
      model: 'loop',
      previous_response_id: first.id,
    });
    expect(compacted).toMatchObject({
      id: expect.stringMatching(/^resp_/),
      object: 'response.compaction',
      created_at: expect.any(Number),
      output: [
        {
          type: 'message',
          role: 'user',
          status: 'completed',
          content: [{ type: 'input_text', text: 'Set it.' }],
        },
        { type: 'compaction', id: expect.stringMatching(/^cmp_/), encrypted_content: expect.any(String) },
      ],
      usage: { input_tokens: 90, output_tokens: 9, total_tokens: 99 },
    });
    expect(JSON.stringify(compacted)).not.toContain('secret');
    const asked = models.asked().at(-1)!;
    expect(asked.messages.map(textOf).join('\n')).toContain('(no output)');
    expect(asked.tool_choice).toBe('none');

    models.fake.script('loop', { calls: [python('print(secret + 1)')] }, { text: '42.' });
    const input = [...compacted.output, { role: 'user', content: 'And one more?' }] as never;
    const next = await create({ input, tools: [AUTO], include: OUTPUTS });
    expect(callOf(next).outputs).toEqual([{ type: 'logs', logs: '42\n' }]);
    expect(callOf(next).container_id).toBe(callOf(first).container_id);
    const told = models.asked().at(-2)!.messages.slice(1);
    expect(told.map(({ role }) => role)).toEqual(['user', 'assistant', 'user']);
    expect(textOf(told[1])).toContain('The variable `secret` is 41.');
    models.fake.script('loop', { text: 'Yes.' });
    const chained = await create({ previous_response_id: next.id, input: 'Really?' });
    expect(chained.status).toBe('completed');
  });

  it('is sealed: not for another project, and not to be changed', async () => {
    models.fake.script('loop', { text: 'A summary.' });
    const { body } = await compact({ input: 'Remember this.' });
    const item = (body['output'] as { encrypted_content: string }[]).at(-1)!;
    const input = [item, { role: 'user', content: 'Well?' }];
    const stranger = new Api(models.project.server.url, await newProject(models.project.server, 'stranger'));
    const param = 'input[0].encrypted_content';
    expect(await stranger.refused(400, 'POST', '/responses', { model: 'loop', input })).toMatchObject({
      code: 'invalid_value',
      param,
    });
    const middle = Math.floor(item.encrypted_content.length / 2);
    const flipped = item.encrypted_content[middle] === 'A' ? 'B' : 'A';
    const changed = `${item.encrypted_content.slice(0, middle)}${flipped}${item.encrypted_content.slice(middle + 1)}`;
    for (const encrypted_content of [changed, '', 'x'.repeat(100)]) {
      const bad = [
        { ...item, encrypted_content },
        { role: 'user', content: 'Well?' },
      ];
      expect(await api().refused(400, 'POST', '/responses', { model: 'loop', input: bad })).toMatchObject({
        param,
      });
    }
    await models.restart();
    models.fake.script('loop', { text: 'Yes.' });
    expect(await api().ok('POST', '/responses', { model: 'loop', input })).toMatchObject({
      status: 'completed',
    });
  });

  it('needs a model that writes, and something to compact', async () => {
    expect((await compact({ input: 'x', model: 'python' })).body).toMatchObject({
      error: { code: 'unsupported_value', param: 'model' },
    });
    expect((await compact({})).body).toMatchObject({
      error: { code: 'missing_required_parameter', param: 'input' },
    });
    expect((await compact({ input: 'x', model: 'nope' })).body).toMatchObject({
      error: { code: 'model_not_found' },
    });
    models.fake.script('loop', {
      fault: { kind: 'status', status: 400, body: { error: { message: 'no' } } },
    });
    expect(await compact({ input: 'x' })).toMatchObject({
      status: 502,
      body: { error: { code: 'model_failed', type: 'server_error' } },
    });
  });
});

describe('a context window that is too small', () => {
  it('refuses the request before anything is said, streamed or not', async () => {
    for (const stream of [false, true]) {
      const error = await errorOf(
        models.client.responses.create({ model: 'narrow', input: words(2_000), stream }),
      );
      expect(error).toMatchObject({ status: 400, code: 'context_length_exceeded', param: 'input' });
      expect(error.message).toMatch(/context window of the model 'narrow': about 20\d\d tokens, of 1500/);
    }
    expect(models.asked('narrow')).toEqual([]);
  });

  const TOO_LONG = {
    error: {
      message: "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.",
      type: 'BadRequestError',
      code: 400,
    },
  };
  const refuses = { fault: { kind: 'status', status: 400, body: TOO_LONG } } as const;

  it('is an error of the request when the endpoint says so', async () => {
    models.fake.script('loop', refuses);
    expect(await errorOf(create())).toMatchObject({
      status: 400,
      code: 'context_length_exceeded',
      param: 'input',
    });
  });

  it('ends a stream, and what was said stays', async () => {
    models.fake.script('loop', { text: 'Let me see.', calls: [python('1')] }, refuses);
    const events = await eventsOf(
      models.client.responses.create({ model: 'loop', input: 'go', tools: [AUTO], stream: true }),
    );
    expect(events.at(-1)!.type).toBe('response.failed');
    expect(lastResponse(events)).toMatchObject({
      status: 'failed',
      error: { code: 'context_length_exceeded', message: expect.stringContaining('maximum context length') },
      output: [{ type: 'message' }, { type: 'code_interpreter_call' }],
    });
  });

  it('leaves a conversation as it was, so that less can be sent', async () => {
    const conversation = await models.client.conversations.create({});
    models.fake.script('loop', refuses, { text: 'Fine.' });
    await errorOf(create({ conversation: conversation.id, input: 'too long' }));
    await create({ conversation: conversation.id, input: 'short' });
    expect(models.asked().at(-1)!.messages.map(textOf)).toEqual(['short']);
  });

  it('truncation auto leaves out the oldest, calls together with their results', async () => {
    const call = { type: 'function_call', call_id: 'call_1', name: 'get_city', arguments: '{}' };
    const answer = { type: 'function_call_output', call_id: 'call_1', output: words(700) };
    const input = [
      { role: 'user', content: `first ${words(300)}` },
      call,
      answer,
      { role: 'assistant', content: `then ${words(300)}` },
      { role: 'user', content: `last ${words(300)}` },
    ] as never;
    models.fake.script('narrow', { text: 'Ok.' }, { text: 'Ok.' });
    const tools = [CITY] as never;
    const base = { model: 'narrow', truncation: 'auto', tools, instructions: 'Be brief.' } as const;
    expect((await create({ ...base, input })).truncation).toBe('auto');
    expect(said().map((text) => text.split(' ')[0])).toEqual(['Be', 'then', 'last']);
    await create({
      ...base,
      input: [call, { ...answer, output: 'Rome' }, { role: 'user', content: 'x' }] as never,
    });
    expect(said(1)).toEqual(['Be brief.', '', 'Rome', 'x']);
    const error = await errorOf(create({ ...base, input: words(2_000) }));
    expect(error).toMatchObject({ status: 400, code: 'context_length_exceeded' });
  });

  it('truncation auto makes room between the turns of a loop', async () => {
    const code = "print('word ' * 700)";
    models.fake.script('narrow', { calls: [python(code)] }, { calls: [python(code)] }, { text: 'Done.' });
    const response = await create({ model: 'narrow', truncation: 'auto', tools: [AUTO] });
    expect(response.status).toBe('completed');
    const last = models.asked('narrow').at(-1)!.messages;
    expect(last.map(({ role }) => role)).toEqual(['system', 'user', 'assistant', 'tool']);
  });

  it('truncation auto takes the endpoint’s word where the window is not known', async () => {
    const turns = ['one', 'two', 'three', 'four', 'five'].map((content) => ({ role: 'user', content }));
    models.fake.script('loop', refuses, refuses, { text: 'Ok.' });
    const response = await create({ truncation: 'auto', input: turns as never });
    expect(response.output_text).toBe('Ok.');
    expect(models.asked().map(({ messages }) => messages.length)).toEqual([5, 3, 2]);
    models.fake.script('loop', refuses);
    expect(await errorOf(create({ truncation: 'auto' }))).toMatchObject({ code: 'context_length_exceeded' });
  });
});

describe('probabilities', () => {
  const asked = { include: ['message.output_text.logprobs'], top_logprobs: 2 } as Partial<Create>;
  const partOf = (response: Response) =>
    (response.output[0] as OpenAI.Responses.ResponseOutputMessage)
      .content[0] as OpenAI.Responses.ResponseOutputText;

  it('are shown when they were asked for, everywhere alike', async () => {
    models.fake.script('loop', { text: 'Hello, world!', chunk: 5 });
    const events = await eventsOf(
      models.client.responses.create({ model: 'loop', input: 'go', ...asked, stream: true }),
    );
    expect(models.asked()[0]).toMatchObject({ logprobs: true, top_logprobs: 2 });
    const logprobs = partOf(lastResponse(events)).logprobs!;
    expect(logprobs.map(({ token }) => token)).toEqual(['Hello', ', wor', 'ld!']);
    expect(logprobs[0]).toMatchObject({ logprob: -0.25, bytes: [72, 101, 108, 108, 111] });
    expect(logprobs[0]!.top_logprobs).toHaveLength(2);
    const deltas = events.flatMap((event) =>
      event.type === 'response.output_text.delta' ? event.logprobs : [],
    );
    expect(deltas).toEqual(logprobs);
    const { id } = lastResponse(events);
    expect(partOf(await models.client.responses.retrieve(id)).logprobs).toEqual([]);
    const shown = await models.client.responses.retrieve(id, { include: asked.include! });
    expect(partOf(shown).logprobs).toEqual(logprobs);
  });

  it('are not asked for otherwise', async () => {
    models.fake.script('loop', { text: 'Hello.' });
    expect(partOf(await create({ top_logprobs: 3 })).logprobs).toEqual([]);
    expect(models.asked()[0]).not.toHaveProperty('logprobs');
  });
});

it('a prompt of a store is not found, also without a model', async () => {
  const prompt = { id: 'pmpt_x' };
  for (const body of [{ prompt }, { prompt, model: 'loop', input: 'x' }]) {
    expect(await api().refused(404, 'POST', '/responses', body)).toMatchObject({
      param: 'prompt',
      code: null,
    });
  }
});
