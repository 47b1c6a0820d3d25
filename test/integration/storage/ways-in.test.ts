/** Whatever way a file comes in, the quota of the project and the floor of the disk are asked first. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ContainerFileRepository } from '../../../orchestrator/src/containers/container-file.repository.js';
import { DiskSpace } from '../../../orchestrator/src/storage/disk-space.js';
import { type AdminApp, type Answer, answerOf, startAdminApp } from '../admin/admin-app.js';

const SMALL = 1_000;
const CONTENT = 'x'.repeat(SMALL);

interface Tenant {
  readonly id: string;
  readonly key: string;
  readonly container: string;
  readonly file: string;
  readonly upload: string;
  readonly parts: readonly string[];
}

let server: AdminApp;
beforeAll(async () => {
  server = await startAdminApp();
});
afterAll(() => server?.stop());

let count = 0;
async function multipart(key: string, path: string, field: string, fields: Record<string, string> = {}) {
  count += 1;
  const part = (name: string, text: string) =>
    `--b${count}\r\ncontent-disposition: form-data; name="${name}"${name === field ? '; filename="a.txt"' : ''}\r\n\r\n${text}\r\n`;
  const reply = await server.app.inject({
    method: 'POST',
    url: `/v1${path}`,
    headers: { authorization: `Bearer ${key}`, 'content-type': `multipart/form-data; boundary=b${count}` },
    payload: `${Object.entries({ ...fields, [field]: `${CONTENT}${count}` })
      .map(([name, text]) => part(name, text))
      .join('')}--b${count}--\r\n`,
  });
  return answerOf(reply);
}

/** A project that holds a file, a container and an open upload with two parts. */
async function tenant(): Promise<Tenant> {
  const { id, key } = await server.project();
  const made = async (reply: Promise<Answer>): Promise<string> => {
    const { status, text, body } = await reply;
    expect(status, text).toBe(200);
    return body.id;
  };
  const post = (path: string, body: object) => made(server.ask(key, 'POST', `/v1${path}`, body));
  const file = await made(multipart(key, '/files', 'file', { purpose: 'user_data' }));
  const container = await post('/containers', { name: 'a' });
  await post(`/containers/${container}/executions`, { code: 'print:warm' });
  const bytes = String(count + 1).length + String(count + 2).length + 2 * SMALL;
  const upload = await post('/uploads', {
    filename: 'u',
    bytes,
    purpose: 'user_data',
    mime_type: 'text/plain',
  });
  const first = await made(multipart(key, `/uploads/${upload}/parts`, 'data'));
  const second = await made(multipart(key, `/uploads/${upload}/parts`, 'data'));
  return { id, key, file, container, upload, parts: [first, second] };
}

const TOOLS = [{ type: 'code_interpreter', container: { type: 'auto' } }];
const message = (part: object) => ({
  model: 'python',
  input: [{ role: 'user', content: [part] }],
  tools: TOOLS,
});

/** Each by one request that brings in about `SMALL` bytes. */
const WAYS: Record<string, (tenant: Tenant) => Promise<Answer>> = {
  'a file': ({ key }) => multipart(key, '/files', 'file', { purpose: 'user_data' }),
  'a part of an upload': ({ key, upload }) => multipart(key, `/uploads/${upload}/parts`, 'data'),
  'a container file': ({ key, container }) => multipart(key, `/containers/${container}/files`, 'file'),
  'an inline file': ({ key }) =>
    server.ask(
      key,
      'POST',
      '/v1/responses',
      message({
        type: 'input_file',
        filename: 'inline.txt',
        file_data: `data:text/plain;base64,${Buffer.from(`inline ${(count += 1)} ${CONTENT}`).toString('base64')}`,
      }),
    ),
};

/** These bring in content that is stored already: they count, and need no room on the disk. */
const COPIES: Record<string, (tenant: Tenant) => Promise<Answer>> = {
  'a copy by file_id': ({ key, container, file }) =>
    server.ask(key, 'POST', `/v1/containers/${container}/files`, { file_id: file }),
  'file_ids of a new container': ({ key, file }) =>
    server.ask(key, 'POST', '/v1/containers', { name: 'b', file_ids: [file] }),
  'file_ids of an automatic container': ({ key, file }) =>
    server.ask(key, 'POST', '/v1/responses', {
      model: 'python',
      input: 'print:1',
      tools: [{ type: 'code_interpreter', container: { type: 'auto', file_ids: [file] } }],
    }),
};

const codeOf = ({ status, body }: Answer) => [
  status,
  (body['error'] as { code?: string } | null)?.code ?? (body['status'] as string | undefined),
];

const notices = ({ body }: Answer): string[] =>
  (body['outputs'] as { type: string; code?: string }[]).flatMap(({ type, code }) =>
    type === 'notice' ? [code!] : [],
  );

const writeFile = ({ key, container }: Tenant) =>
  server.ask(key, 'POST', `/v1/containers/${container}/executions`, {
    code: `write:/mnt/data/made.txt:${CONTENT}`,
  });

describe('a project over its quota', () => {
  async function full(): Promise<Tenant> {
    const made = await tenant();
    await server.admin('POST', `/admin/v1/projects/${made.id}`, { storage_quota: '1k' });
    return made;
  }

  it.each(Object.entries({ ...WAYS, ...COPIES }))('is refused %s', async (_, way) => {
    expect(codeOf(await way(await full()))).toEqual([400, 'storage_quota_exceeded']);
  });

  it('keeps what code wrote in its container, and says that it is not stored', async () => {
    const execution = await writeFile(await full());
    expect(codeOf(execution)).toEqual([200, 'completed']);
    expect(notices(execution)).toEqual(['files_not_stored']);
  });

  it.each([
    { quota: '1k', kept: [] },
    { quota: '1050', kept: ['/mnt/data/small.txt'] },
    { quota: '1m', kept: ['/mnt/data/small.txt', '/mnt/data/report.txt'] },
  ])('goes on after its container expired, with the files that fit in $quota', async ({ quota, kept }) => {
    const { id: project, key } = await server.project();
    const respond = async (input: string, more = {}) => {
      const reply = await server.ask(key, 'POST', '/v1/responses', {
        model: 'python',
        input,
        tools: TOOLS,
        ...more,
      });
      expect(codeOf(reply)).toEqual([200, 'completed']);
      const output = reply.body['output'] as { container_id?: string }[];
      return { id: reply.body.id, container: output[0]!.container_id! };
    };
    const first = await respond(
      `write:/mnt/data/report.txt:${CONTENT}\nwrite:/mnt/data/small.txt:${'y'.repeat(25)}`,
    );
    await server.prisma.container.update({
      where: { id: first.container },
      data: { status: 'expired', endedAt: new Date() },
    });
    await server.admin('POST', `/admin/v1/projects/${project}`, { storage_quota: quota });
    const next = await respond('print:1', { previous_response_id: first.id });
    expect(next.container).not.toBe(first.container);
    const { body } = await server.ask(key, 'GET', `/v1/containers/${next.container}/files`);
    expect(body.data.map(({ path }) => path)).toEqual(kept);
  });

  it('counts files that follow into a next container once, however long they take', async () => {
    const { id: project, key } = await server.project();
    const respond = (input: string, more = {}) =>
      server.ask(key, 'POST', '/v1/responses', { model: 'python', input, tools: TOOLS, ...more });
    const names = ['a', 'b', 'c', 'd'];
    const first = await respond(names.map((name) => `write:/mnt/data/${name}.txt:${CONTENT}`).join('\n'));
    await server.prisma.container.updateMany({
      where: { projectId: project },
      data: { status: 'expired', endedAt: new Date() },
    });
    await server.admin('POST', `/admin/v1/projects/${project}`, { storage_quota: '8500' });
    const { insertAtFreePath } = ContainerFileRepository.prototype;
    const slow = vi.spyOn(ContainerFileRepository.prototype, 'insertAtFreePath');
    slow.mockImplementation(async function (this: ContainerFileRepository, file) {
      await sleep(600);
      return insertAtFreePath.call(this, file);
    });
    const next = await respond('print:1', { previous_response_id: first.body.id });
    slow.mockRestore();
    const [{ container_id: id }] = next.body['output'] as [{ container_id: string }];
    const { body } = await server.ask(key, 'GET', `/v1/containers/${id}/files`);
    expect(body.data).toHaveLength(names.length);
  });

  it('may complete an upload, whose parts it holds already', async () => {
    const { key, upload, parts } = await full();
    const reply = await server.ask(key, 'POST', `/v1/uploads/${upload}/complete`, { part_ids: parts });
    expect(codeOf(reply)).toEqual([200, 'completed']);
  });
});

describe('a server whose disk is below its floor', () => {
  let made: Tenant;
  let restore: () => void;
  beforeAll(async () => {
    made = await tenant();
    const space = server.app.get(DiskSpace) as unknown as { measure: unknown; readAtMs: number };
    const { measure } = space;
    Object.assign(space, { measure: async () => 1_000, readAtMs: Number.NEGATIVE_INFINITY });
    restore = () => Object.assign(space, { measure, readAtMs: Number.NEGATIVE_INFINITY });
  });
  afterAll(() => restore());

  it.each(Object.entries(WAYS))('refuses %s', async (_, way) => {
    const reply = await way(made);
    expect(codeOf(reply)).toEqual([507, 'storage_full']);
    expect(reply.headers['x-should-retry']).toBe('false');
  });

  it('refuses to join the parts of an upload, which stays open', async () => {
    const path = `/v1/uploads/${made.upload}/complete`;
    const reply = await server.ask(made.key, 'POST', path, { part_ids: made.parts });
    expect(codeOf(reply)).toEqual([507, 'storage_full']);
  });

  it('keeps what code wrote in its container, and says that it is not stored', async () => {
    const execution = await writeFile(made);
    expect(codeOf(execution)).toEqual([200, 'completed']);
    expect(notices(execution)).toEqual(['files_not_stored']);
  });

  it.each(Object.entries(COPIES))('takes %s, which needs no room', async (_, way) => {
    expect((await way(made)).status).toBe(200);
  });

  it('takes everything again when there is room', async () => {
    restore();
    const path = `/v1/uploads/${made.upload}/complete`;
    const reply = await server.ask(made.key, 'POST', path, { part_ids: made.parts });
    expect(codeOf(reply)).toEqual([200, 'completed']);
    for (const way of [WAYS['a file']!, WAYS['a container file']!, WAYS['an inline file']!])
      expect((await way(made)).status).toBe(200);
  });
});
