/** What one request may ask of the server: how many items, how much of earlier turns, how large a reply. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AdminApp, type Body, startAdminApp } from '../admin/admin-app.js';

const MAX_BODY_BYTES = 2 * 1024 * 1024;
const TOOLS = [{ type: 'code_interpreter', container: { type: 'auto' } }];

let server: AdminApp;
let key: string;
let project: string;
beforeAll(async () => {
  server = await startAdminApp({ MAX_BODY_BYTES: String(MAX_BODY_BYTES) });
});
afterAll(() => server?.stop());
beforeAll(async () => {
  ({ key, id: project } = await server.project());
});

const say = (text: string) => ({ role: 'user', content: text });
const user = (count: number, text = 'print:1') => Array.from({ length: count }, () => say(text));
const create = (body: object) =>
  server.ask(key, 'POST', '/v1/responses', { model: 'python', input: 'print:1', tools: TOOLS, ...body });
const itemsOf = (id: string, query = '') => server.ask(key, 'GET', `/v1/responses/${id}/input_items${query}`);

/** Stands for JSON nested in itself, which tests cannot build as a value: writing it down overflows their stack. */
const DEEP = 'deep JSON stands here';

const nested = (levels: number): string => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;

async function createDeep(body: object, levels: number): Promise<{ status: number; body: Body }> {
  const text = JSON.stringify({ model: 'python', input: 'print:1', tools: TOOLS, ...body });
  const reply = await server.app.inject({
    method: 'POST',
    url: '/v1/responses',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    payload: text.replace(JSON.stringify(DEEP), nested(levels)),
  });
  return { status: reply.statusCode, body: reply.json() };
}

describe('how many', () => {
  it('takes 4,096 items, in their order', async () => {
    const input = [...Array.from({ length: 4_095 }, (_, index) => say(`n${index}`)), say('print:1')];
    const reply = await create({ input });
    expect(reply.status).toBe(200);
    const listed = await itemsOf(reply.body.id, '?order=asc&limit=3');
    const texts = listed.body.data.map((item) => (item['content'] as { text: string }[])[0]!.text);
    expect(texts).toEqual(['n0', 'n1', 'n2']);
    const last = await itemsOf(reply.body.id, '?limit=1');
    expect(last.body.data[0]!['content']).toMatchObject([{ text: 'print:1' }]);
  });

  it.each([
    ['input', { input: user(4_097, 'x') }, 'array_above_max_length', '4096 elements'],
    ['input', { input: user(9_000, 'x') }, 'array_above_max_length', '9000 elements'],
    [
      'input[0].content',
      { input: [{ role: 'user', content: Array(1_025).fill({ type: 'input_text', text: 'x' }) }] },
      'array_above_max_length',
      '1024 elements',
    ],
    [
      'input',
      {
        input: Array(9).fill({ role: 'user', content: Array(1_000).fill({ type: 'input_text', text: 'x' }) }),
      },
      'array_above_max_length',
      '8192 parts',
    ],
    ['tools', { tools: Array(129).fill({ type: 'function', name: 'f' }) }, 'array_above_max_length', '128'],
    ['include', { include: Array(65).fill('reasoning.encrypted_content') }, 'array_above_max_length', '64'],
    [
      'metadata',
      { metadata: Object.fromEntries(Array.from({ length: 9_000 }, (_, index) => [`k${index}`, ''])) },
      'object_above_max_properties',
      '9000 properties',
    ],
  ])('refuses more of %s', async (param, body, code, message) => {
    const reply = await create(body);
    expect(reply.status).toBe(400);
    expect(reply.body.error).toMatchObject({ code, param });
    expect(reply.body.error.message).toContain(message);
  });

  it('counts items of conversations, which are added 20 at a time', async () => {
    const { id } = (await server.ask(key, 'POST', '/v1/conversations', {})).body;
    const reply = await server.ask(key, 'POST', `/v1/conversations/${id}/items`, { items: user(21) });
    expect(reply.body.error).toMatchObject({ code: 'array_above_max_length', param: 'items' });
  });
});

describe('how deep', () => {
  it.each([
    ['tools[0].parameters', { tools: [{ type: 'function', name: 'f', parameters: DEEP }] }],
    ['tools[0].output_schema', { tools: [{ type: 'function', name: 'f', output_schema: DEEP }] }],
    ['text.format.schema', { text: { format: { type: 'json_schema', name: 'x', schema: DEEP } } }],
  ])('refuses a schema of 5,000 levels in %s', async (_, body) => {
    const reply = await createDeep(body, 5_000);
    expect(reply.status).toBe(400);
  });

  it('takes a schema of 99 levels', async () => {
    const tools = [...TOOLS, { type: 'function', name: 'f', parameters: DEEP }];
    const reply = await createDeep({ tools }, 99);
    expect(reply.body['tools']).toMatchObject([{}, { parameters: JSON.parse(nested(99)) as object }]);
  });

  it.each([
    ['tool_choice', { tool_choice: { type: 'mcp', x: DEEP } }],
    ['reasoning', { input: [{ type: 'reasoning', summary: [{ type: 'x', text: '', y: DEEP }] }] }],
    [
      'annotations',
      {
        input: [
          say('print:1'),
          { role: 'assistant', content: [{ type: 'output_text', text: '', annotations: [DEEP] }] },
        ],
      },
    ],
  ])('never fails of deep JSON in %s', async (_, body) => {
    expect((await createDeep(body, 20_000)).status).toBeLessThan(500);
  });
});

describe('how much of earlier turns', () => {
  const long = 'x'.repeat(1_500_000);

  it('reads no more than two bodies of earlier responses', async () => {
    let previous: Body | undefined;
    for (let turn = 0; turn < 4; turn += 1) {
      const reply = await create({
        input: [say(long), say('print:1')],
        ...(previous ? { previous_response_id: previous.id } : {}),
      });
      if (turn < 3) expect(reply.status).toBe(200);
      else
        expect(reply.body.error).toMatchObject({
          code: 'context_length_exceeded',
          param: 'previous_response_id',
        });
      if (turn < 3) previous = reply.body;
    }
    const pages: Body[] = [];
    for (let after = ''; pages.length < 100; ) {
      const page = (await itemsOf(previous!.id, after)).body;
      pages.push(...page.data);
      if (page['has_more'] !== true) break;
      after = `?after=${String(page['last_id'])}`;
    }
    expect(pages.filter((item) => JSON.stringify(item).includes(long))).toHaveLength(3);
  });

  it('reads no more than two bodies of a conversation', async () => {
    const { id } = (await server.ask(key, 'POST', '/v1/conversations', {})).body;
    for (let turn = 0; turn < 3; turn += 1)
      await server.ask(key, 'POST', `/v1/conversations/${id}/items`, { items: [say(long)] });
    const reply = await create({ conversation: id });
    expect(reply.body.error).toMatchObject({ code: 'context_length_exceeded', param: 'conversation' });
    const listed = await server.ask(key, 'GET', `/v1/conversations/${id}/items?limit=100`);
    expect(listed.body.data.length).toBe(3);
  });

  it('counts an item as often as it is referred to', async () => {
    const { id } = (
      await create({ input: [{ ...say(long), type: 'message', id: 'msg_long' }, say('print:1')] })
    ).body;
    expect(id).toBeDefined();
    const input = [...Array(4).fill({ type: 'item_reference', id: 'msg_long' }), say('print:1')];
    expect((await create({ input })).body.error).toMatchObject({
      code: 'context_length_exceeded',
      param: 'input',
    });
    expect((await create({ input: input.slice(3) })).status).toBe(200);
    const unknown = await create({ input: [{ type: 'item_reference', id: 'msg_unknown' }] });
    expect(unknown.status).toBe(404);
  });
});

describe('how large a reply', () => {
  it('takes a figure of a replayed call for no file', async () => {
    const made = await create({ input: 'write:/mnt/data/a.png:secret' });
    expect(made.status).toBe(200);
    const [file] = await server.prisma.containerFile.findMany({ where: { projectId: project } });
    const call = {
      type: 'code_interpreter_call',
      code: '1',
      container_id: file?.containerId ?? 'cntr_x',
      outputs: Array(1_000).fill({ type: 'image', file_id: file?.id ?? 'cfile_x' }),
    };
    const { id } = (await server.ask(key, 'POST', '/v1/conversations', { items: [call] })).body;
    const listed = await server.ask(
      key,
      'GET',
      `/v1/conversations/${id}/items?include[]=code_interpreter_call.outputs`,
    );
    const outputs = listed.body.data[0]!['outputs'] as Body[];
    expect(outputs).toHaveLength(1_000);
    expect(listed.text).not.toContain('base64');
    expect(outputs.every((output) => output['type'] === 'logs')).toBe(true);
  });

  it('leaves figures out when they would make it too large, and says where they are', async () => {
    const reply = await create({ input: 'image:1' });
    const call = await server.prisma.responseItem.findFirstOrThrow({
      where: { responseId: reply.body.id, kind: 'output' },
    });
    const item = call.item as { outputs: { type: string; file_id?: string }[] };
    const fileId = item.outputs.find((output) => output.type === 'image')!.file_id!;
    const path = `/v1/responses/${reply.body.id}?include[]=code_interpreter_call.outputs`;
    expect((await server.ask(key, 'GET', path)).text).toContain('data:image/png;base64,');
    await server.prisma.containerFile.update({ where: { id: fileId }, data: { bytes: 21 * 1024 * 1024 } });
    const large = (await server.ask(key, 'GET', path)).text;
    expect(large).not.toContain('data:image/png;base64,');
    expect(large).toContain(`Download it as file ${fileId}`);
  });
});
