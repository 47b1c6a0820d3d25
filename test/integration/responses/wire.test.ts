/** Fields on the wire that strict clients look at. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AdminApp, type Body, startAdminApp } from '../admin/admin-app.js';

const TOOLS = [{ type: 'code_interpreter', container: { type: 'auto' } }];

let server: AdminApp;
let key: string;
beforeAll(async () => {
  server = await startAdminApp();
  ({ key } = await server.project());
});
afterAll(() => server?.stop());

const post = (path: string, body: object) => server.ask(key, 'POST', `/v1${path}`, body);
const get = (path: string) => server.ask(key, 'GET', `/v1${path}`);
const create = (body: object) =>
  post('/responses', { model: 'python', input: 'print:1', tools: TOOLS, ...body });

const eventsOf = (text: string): Body[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('data: '))
    .map((line) => JSON.parse(line.slice('data: '.length)) as Body);

describe('tools', () => {
  it('echoes what a function may carry', async () => {
    const extra = {
      allowed_callers: ['direct', 'programmatic'],
      defer_loading: true,
      output_schema: { type: 'object' },
    };
    const plain = { type: 'function', name: 'plain' };
    const { body } = await create({ tools: [...TOOLS, plain, { ...plain, name: 'full', ...extra }] });
    expect(body['tools']).toEqual([
      { type: 'code_interpreter', container: { type: 'auto' } },
      { ...plain, description: null, parameters: null, strict: true },
      { ...plain, name: 'full', description: null, parameters: null, strict: true, ...extra },
    ]);
  });
});

describe('items', () => {
  it('takes the same id twice, and keeps the first', async () => {
    const item = (text: string) => ({ type: 'message', role: 'user', id: 'msg_same', content: text });
    const made = await post('/conversations', { items: [item('first'), item('second')] });
    expect(made.status).toBe(200);
    const { data } = (await get(`/conversations/${made.body.id}/items`)).body;
    expect(data).toMatchObject([{ id: 'msg_same', content: [{ text: 'first' }] }]);
  });

  it('says how closely an image is looked at', async () => {
    const image = { type: 'input_image', image_url: 'data:image/png;base64,AAAA' };
    const items = [
      { role: 'user', content: [image, { ...image, detail: 'low' }] },
      { type: 'function_call', call_id: 'call_1', name: 'f', arguments: '{}' },
      { type: 'function_call_output', call_id: 'call_1', output: [image] },
    ];
    const { id } = (await post('/conversations', { items })).body;
    const { data } = (await get(`/conversations/${id}/items?order=asc`)).body;
    expect(data[0]!['content']).toMatchObject([{ detail: 'auto' }, { detail: 'low' }]);
    expect(data[2]!['output']).toMatchObject([{ detail: 'auto' }]);
    const response = await create({ input: [...items, { role: 'user', content: 'print:1' }] });
    const listed = (await get(`/responses/${response.body.id}/input_items?order=asc`)).body.data;
    expect(listed[0]!['content']).toMatchObject([{ detail: 'auto' }, { detail: 'low' }]);
  });

  it.each([
    [[], null],
    [['code_interpreter_call.outputs'], []],
  ])('shows outputs of a call that begins, with include %j, as %j', async (include, outputs) => {
    const events = eventsOf((await create({ stream: true, include })).text);
    const added = events.find(
      (event) =>
        event['type'] === 'response.output_item.added' &&
        (event['item'] as Body)['type'] === 'code_interpreter_call',
    );
    expect((added!['item'] as Body)['outputs']).toEqual(outputs);
  });
});

describe('a stream that cannot be taken up', () => {
  it.each([
    [{ background: true }, 'stream=true'],
    [{ stream: false }, 'background=true'],
  ])('%j: says what was missing', async (fields, missing) => {
    const { id } = (await create(fields)).body;
    const { body } = await get(`/responses/${id}?stream=true`);
    expect(body.error.message).toBe(
      `This response cannot be streamed because it was not created with ${missing}.`,
    );
  });
});

describe('files that code made', () => {
  it('are listed by their purpose, in pages, and in no other list', async () => {
    const { key: own } = await server.project();
    const ask = (path: string) => server.ask(own, 'GET', `/v1/files${path}`);
    const input = ['a', 'b', 'c'].map((name) => `write:/mnt/data/${name}.txt:text`).join('\n');
    const made = await server.ask(own, 'POST', '/v1/responses', { model: 'python', input, tools: TOOLS });
    expect(made.status).toBe(200);
    const all = (await ask('?purpose=assistants_output&order=asc')).body.data;
    expect(all).toHaveLength(3);
    expect(all).toMatchObject(
      all.map(({ id }) => ({ id, object: 'file', purpose: 'assistants_output', bytes: 4 })),
    );
    expect(all.every(({ id }) => id.startsWith('cfile_'))).toBe(true);
    const first = (await ask('?purpose=assistants_output&order=desc&limit=2')).body;
    expect(first).toMatchObject({ has_more: true, data: [{ id: all[2]!.id }, { id: all[1]!.id }] });
    const rest = (await ask(`?purpose=assistants_output&order=desc&after=${all[1]!.id}`)).body;
    expect(rest).toMatchObject({ has_more: false, data: [{ id: all[0]!.id }] });
    expect((await ask('')).body.data).toEqual([]);
    expect((await ask('?purpose=assistants')).body.data).toEqual([]);
    expect((await ask('?purpose=assistants_output&after=cfile_unknown')).status).toBe(404);
    expect(
      (await server.ask(key, 'GET', `/v1/files?purpose=assistants_output&after=${all[0]!.id}`)).status,
    ).toBe(404);
    const [container] = (await server.ask(own, 'GET', '/v1/containers')).body.data;
    await server.ask(own, 'DELETE', `/v1/containers/${container!.id}`);
    expect((await ask('?purpose=assistants_output')).body.data).toEqual([]);
  });
});
