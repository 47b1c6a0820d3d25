/** Containers in the loop: kept, replaced, their files cited and told alike in every way to read a response. */
import type OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { textOf } from '../fakes/model-endpoint/script.js';
import { eventually } from '../support/api.js';
import { errorOf } from '../support/clients.js';
import { onDatabase } from '../support/project.js';
import { AUTO, callOf, logsOf, OUTPUTS } from '../support/python-model.js';
import { CITY, eventsOf, lastResponse, python, type Response, useModelServer } from './model-server.js';

const models = useModelServer();
type Create = OpenAI.Responses.ResponseCreateParamsNonStreaming;
type Citation = OpenAI.Responses.ResponseOutputText.ContainerFileCitation;

const create = (change: Partial<Create> = {}): Promise<Response> =>
  models.client.responses.create({ model: 'loop', input: 'go', tools: [AUTO], include: OUTPUTS, ...change });

const write = (name: string, text: string) => python(`open('/mnt/data/${name}', 'w').write('${text}')`);
const READ = python("import os; print(sorted(os.listdir('/mnt/data')), 'x' in globals())");
const systemText = () => textOf(models.asked().at(-1)!.messages[0]);

const citationsOf = (response: Response): Citation[] =>
  response.output.flatMap((item) =>
    item.type === 'message'
      ? item.content.flatMap((part) => (part.type === 'output_text' ? (part.annotations as Citation[]) : []))
      : [],
  );
const citedNames = (response: Response) => citationsOf(response).map(({ filename }) => filename);

/** As if nobody had used it for an hour. */
const expire = (container: string) =>
  onDatabase(models.project.server, (client) =>
    client.query(
      `UPDATE "Container" SET "lastActiveAt" = "lastActiveAt" - interval '1 hour' WHERE "id" = $1`,
      [container],
    ),
  );

describe('70: the container of an earlier turn', () => {
  const begin = async () => {
    models.fake.script('loop', { calls: [python('x = 1'), write('a.csv', 'a,b')] }, { text: 'Made.' });
    const first = await create();
    return { first, container: callOf(first).container_id };
  };

  it('is told with its files when it runs', async () => {
    const { first, container } = await begin();
    models.fake.script('loop', { calls: [READ] }, { text: 'Seen.' });
    const next = await create({ previous_response_id: first.id });
    expect(callOf(next).container_id).toBe(container);
    expect(logsOf(next)).toBe("['a.csv'] True\n");
    expect(systemText()).toContain('Files in /mnt/data:\n- /mnt/data/a.csv');
    expect(systemText()).not.toContain('new one');
  });

  it.each<[string, (container: string) => Promise<unknown>, object]>([
    ['has expired', expire, { type: 'auto' }],
    ['is of another size', async () => undefined, { type: 'auto', memory_limit: '4g' }],
  ])('is replaced with its files when it %s, and the model is told', async (_, change, container) => {
    const begun = await begin();
    await change(begun.container);
    models.fake.script(
      'loop',
      { calls: [READ, write('a.csv', 'changed')] },
      { text: '[a](sandbox:/mnt/data/a.csv)' },
    );
    const tools = [{ type: 'code_interpreter', container }] as never;
    const next = await create({ previous_response_id: begun.first.id, tools });
    expect(callOf(next).container_id).not.toBe(begun.container);
    expect(logsOf(next)).toBe("['a.csv'] False\n");
    expect(systemText()).toContain('this is a new one: variables and imports are lost');
    expect(systemText()).toContain('- /mnt/data/a.csv');
    const contents = await Promise.all(
      [begun.first, next].map(async (each) =>
        (await models.client.files.content(citationsOf(each)[0]!.file_id)).text(),
      ),
    );
    expect(contents).toEqual(['a,b', 'changed']);
  });

  it('that was deleted is not brought back', async () => {
    const { first, container } = await begin();
    await models.client.containers.delete(container);
    models.fake.script('loop', { calls: [READ] }, { text: 'Empty.' });
    expect(logsOf(await create({ previous_response_id: first.id }))).toBe('[] False\n');
  });
});

describe('files of a message', () => {
  const file = (name: string, text: string) => ({
    type: 'input_file' as const,
    filename: name,
    file_data: `data:text/csv;base64,${Buffer.from(text).toString('base64')}`,
  });

  it('are put into the container once, however long the conversation', async () => {
    models.fake.script('loop', { text: 'Seen.' }, { text: 'Seen.' }, { calls: [READ] }, { text: 'One.' });
    const content = [file('in.csv', 'a,b'), { type: 'input_text', text: 'Look.' }];
    let last = await create({ input: [{ role: 'user', content }] as never });
    last = await create({ previous_response_id: last.id, input: 'again' });
    last = await create({ previous_response_id: last.id, input: 'list' });
    expect(logsOf(last)).toBe("['in.csv'] False\n");
    expect(textOf(models.asked().at(-1)!.messages[1])).toContain('[File: /mnt/data/in.csv]');
  });

  it('that were deleted since do not end the conversation', async () => {
    const uploaded = await models.client.files.create({
      file: new File(['a,b'], 'gone.csv'),
      purpose: 'user_data',
    });
    const content = [{ type: 'input_file', file_id: uploaded.id }];
    models.fake.script('loop', { text: 'Seen.' }, { text: 'Still there.' });
    const first = await create({ input: [{ role: 'user', content }] as never });
    await models.client.files.delete(uploaded.id);
    expect((await create({ previous_response_id: first.id })).status).toBe('completed');
    const error = await errorOf(create({ input: [{ role: 'user', content }] as never }));
    expect(error).toMatchObject({ status: 404, param: 'input[0].content[0].file_id' });
  });

  it('may come with the answer of a function', async () => {
    models.fake.script('loop', { calls: [{ name: 'get_city', arguments: '{}', id: 'call_1' }] });
    const tools = [AUTO, CITY] as never;
    const first = await create({ tools });
    models.fake.script('loop', { calls: [READ] }, { text: 'Seen.' });
    const output = [file('city.csv', 'Rome')];
    const input = [{ type: 'function_call_output', call_id: 'call_1', output }] as never;
    expect(logsOf(await create({ tools, previous_response_id: first.id, input }))).toBe(
      "['city.csv'] False\n",
    );
  });
});

describe('every file is cited', () => {
  it('linked or not, once', async () => {
    models.fake.script(
      'loop',
      { text: 'First [a](sandbox:/mnt/data/a.txt).', calls: [write('early.txt', 'e')] },
      { calls: [write('a.txt', 'a'), write('b.txt', 'b')] },
      { text: 'See [a](sandbox:/mnt/data/a.txt).' },
    );
    const citations = citationsOf(await create());
    expect(citations.map(({ filename }) => filename)).toEqual(['a.txt', 'early.txt', 'b.txt']);
    expect(citations.map(({ end_index }) => end_index > 0)).toEqual([true, false, false]);
  });

  it('also when the model ends without a word, or with a function', async () => {
    models.fake.script('loop', { calls: [write('quiet.txt', 'q')] }, { text: '' });
    const quiet = await create();
    expect(quiet.output.map(({ type }) => type)).toEqual(['code_interpreter_call', 'message']);
    expect(citedNames(quiet)).toEqual(['quiet.txt']);
    expect(quiet.output_text).toBe('');
    const both = [write('mixed.txt', 'm'), { name: 'get_city', arguments: '{}', id: 'call_7' }];
    models.fake.script('loop', { calls: both }, { text: 'Rome.' });
    const mixed = await create({ tools: [AUTO, CITY] as never });
    expect(citedNames(mixed)).toEqual(['mixed.txt']);
    const next = await create({
      tools: [AUTO, CITY] as never,
      previous_response_id: mixed.id,
      input: [{ type: 'function_call_output', call_id: 'call_7', output: 'Rome' }],
    });
    expect([next.output_text, citedNames(next)]).toEqual(['Rome.', []]);
    const { messages } = models.asked().at(-1)!;
    expect(messages.filter(({ role }) => role === 'tool')).toHaveLength(2);
  });
});

describe('a response', () => {
  const PLOT = 'import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nprint("after")';
  const turns = () =>
    models.fake.script(
      'loop',
      { calls: [python(PLOT), write('o.csv', 'o')] },
      { text: '[o](sandbox:/mnt/data/o.csv)' },
    );
  const shape = (response: { output: readonly unknown[] }) =>
    JSON.parse(
      JSON.stringify(response.output, (key, value: unknown) =>
        ['id', 'call_id', 'container_id', 'file_id'].includes(key)
          ? 'id'
          : key === 'filename'
            ? String(value).replace(/^cfile_\w+/, 'cfile')
            : value,
      ),
    ) as unknown[];

  it('is the same in JSON, as a stream, in the background, retrieved, and in a conversation', async () => {
    turns();
    const json = await create();
    const expected = shape(json);
    expect(JSON.stringify(expected)).toContain('data:image/png;base64,');
    turns();
    const events = await eventsOf(
      models.client.responses.create({
        model: 'loop',
        input: 'go',
        tools: [AUTO],
        include: OUTPUTS,
        stream: true,
      }),
    );
    const streamed = lastResponse(events);
    expect(shape(streamed)).toEqual(expected);
    const done = events.flatMap((event) => (event.type === 'response.output_item.done' ? [event.item] : []));
    expect(shape({ output: done })).toEqual(expected);
    turns();
    const queued = await create({ background: true });
    const ended = await eventually(
      () => models.client.responses.retrieve(queued.id, { include: OUTPUTS }),
      ({ status }) => status !== 'queued' && status !== 'in_progress',
      60_000,
    );
    expect(shape(ended)).toEqual(expected);
    turns();
    const conversation = await models.client.conversations.create({});
    const talked = await create({ conversation: conversation.id });
    const items = await models.client.conversations.items.list(conversation.id, {
      order: 'asc',
      include: OUTPUTS,
    });
    expect(shape({ output: items.data.slice(1) })).toEqual(expected);
    for (const { id } of [json, streamed, talked]) {
      expect(shape(await models.client.responses.retrieve(id, { include: OUTPUTS }))).toEqual(expected);
    }
  });

  it('shortens a long log for the model and keeps it whole', async () => {
    models.fake.script(
      'loop',
      { calls: [python("print('begin' + 'x' * 100_000 + 'end')")] },
      { text: 'Long.' },
    );
    const response = await create();
    expect(logsOf(response)).toHaveLength(100_009);
    const told = textOf(models.asked().at(-1)!.messages.at(-1));
    expect(told.length).toBeLessThan(17_000);
    expect(told).toMatch(/^begin[x]+\n… \d+ characters left out …\nx+end\n$/);
  });
});
