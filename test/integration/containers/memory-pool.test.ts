/** A project's memory pool: who gives way when it is full, and who does not. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FilesService } from '../../../orchestrator/src/files/files.service.js';
import { BlobsService } from '../../../orchestrator/src/storage/blobs.service.js';
import { type AdminApp, type Answer, startAdminApp } from '../admin/admin-app.js';

let server: AdminApp;
beforeAll(async () => {
  server = await startAdminApp({ MEMORY_POOL_BYTES: '2g', SANDBOX_POOL: '1g=0' });
});
afterAll(() => server?.stop());

const respond = (key: string, input: string, more: Record<string, unknown> = {}): Promise<Answer> =>
  server.ask(key, 'POST', '/v1/responses', {
    model: 'python',
    input,
    tools: [{ type: 'code_interpreter', container: { type: 'auto' } }],
    ...more,
  });

const callOf = (reply: Answer) =>
  (reply.body['output'] as { type: string; container_id: string; outputs: unknown }[]).find(
    ({ type }) => type === 'code_interpreter_call',
  )!;

describe('a full memory pool', () => {
  it('makes way for a new response: the longest idle automatic container sleeps, and goes on later with its files and variables', async () => {
    const { key } = await server.project();
    const first = await respond(key, 'set:a=1\nwrite:/mnt/data/first.csv:1');
    const second = await respond(key, 'print:2');
    const third = await respond(key, 'print:3');
    expect([first, second, third].map(({ status }) => status)).toEqual([200, 200, 200]);
    const { container_id: id } = callOf(first);
    const files = await server.ask(key, 'GET', `/v1/containers/${id}/files`);
    expect(files.body.data.map((file) => file['path'])).toEqual(['/mnt/data/first.csv']);
    const again = await respond(key, 'get:a', { previous_response_id: first.body.id });
    expect(again.status).toBe(200);
    expect(callOf(again).container_id).toBe(id);
    const executions = await server.ask(key, 'GET', `/v1/containers/${id}/executions?order=desc`);
    expect(executions.body.data[0]!['state_lost']).toBe(false);
  });

  it('keeps the containers that a caller made, and says what would help', async () => {
    const { key } = await server.project();
    for (const name of ['one', 'two']) {
      const made = await server.ask(key, 'POST', '/v1/containers', {
        name,
        expires_after: { anchor: 'last_active_at', minutes: 5 },
      });
      expect(made.status).toBe(200);
    }
    const refused = await respond(key, 'print:3');
    expect(refused.status).toBe(429);
    expect(refused.body.error.code).toBe('memory_pool_exhausted');
    const wait = Number(refused.headers['retry-after']);
    expect(wait).toBeGreaterThan(200);
    expect(wait).toBeLessThanOrEqual(300);
  });

  it('does not stop code that runs', async () => {
    const { key } = await server.project();
    const busy = [respond(key, 'sleep:1500\nprint:1'), respond(key, 'sleep:1500\nprint:2')];
    await expect
      .poll(() => server.prisma.execution.count({ where: { status: 'running' } }), { timeout: 10_000 })
      .toBe(2);
    expect((await respond(key, 'print:3')).status).toBe(429);
    for (const reply of await Promise.all(busy)) expect(reply.body['status']).toBe('completed');
    expect((await respond(key, 'print:3')).status).toBe(200);
  });
});

describe('a session key', () => {
  it('gives the files of a later request to the session that runs', async () => {
    const { id: project, key } = await server.project();
    const add = async (filename: string) => {
      const blob = await server.app.get(BlobsService).write(Buffer.from(filename));
      return server.app.get(FilesService).createFromBlob(project, { filename, purpose: 'user_data', blob });
    };
    const [sales, costs] = [await add('sales.csv'), await add('costs.csv')];
    const ask = (file_ids: string[]) =>
      server.ask(key, 'POST', '/v1/containers', { name: 'chat', session_key: 'ada', file_ids });
    const made = await ask([sales.id]);
    const again = await ask([sales.id, costs.id]);
    expect(again.body.id).toBe(made.body.id);
    const held = await server.ask(key, 'GET', `/v1/containers/${made.body.id}/files?order=asc`);
    expect(held.body.data.map((file) => file['path'])).toEqual([
      '/mnt/data/sales.csv',
      '/mnt/data/costs.csv',
    ]);
  });

  it('is refused with more memory than its container has', async () => {
    const { id: project, key } = await server.project();
    await server.admin('POST', `/admin/v1/projects/${project}`, { memory_pool_bytes: 16 * 1024 ** 3 });
    await server.ask(key, 'POST', '/v1/containers', { name: 'chat', session_key: 'bob' });
    const more = await server.ask(key, 'POST', '/v1/containers', {
      name: 'chat',
      session_key: 'bob',
      memory_limit: '4g',
    });
    expect(more.status).toBe(400);
    expect(more.body.error.param).toBe('memory_limit');
  });
});
