import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sweepSchema } from '../../../orchestrator/src/admin/operations.schema.js';
import type { SandboxId } from '../../../orchestrator/src/sandboxes/sandbox.driver.js';
import { type AdminApp, startAdminApp } from './admin-app.js';

let server: AdminApp;
beforeAll(async () => {
  server = await startAdminApp();
});
afterAll(() => server?.stop());

async function newContainer(key: string, fields: object = {}): Promise<string> {
  return (await server.ask(key, 'POST', '/v1/containers', { name: 'test', ...fields })).body.id;
}

const run = (key: string, container: string, code: string) =>
  server.ask(key, 'POST', `/v1/containers/${container}/executions`, { code });

describe('containers and executions of all projects', () => {
  it('shows containers, whether a sandbox serves them, and what they were given', async () => {
    const { id: projectId, key } = await server.project();
    const idle = await newContainer(key);
    const busy = await newContainer(key, { session_key: 'a' });
    await run(key, busy, 'print:hello');
    const { body } = await server.admin('GET', `/admin/v1/containers?project_id=${projectId}`);
    expect(body.data.map((each) => [each.id, each['live_sandbox']])).toEqual([
      [busy, true],
      [idle, false],
    ]);
    expect((await server.admin('GET', `/admin/v1/containers/${busy}`)).body).toEqual({
      id: busy,
      object: 'container',
      project_id: projectId,
      name: 'test',
      status: 'running',
      created_at: expect.any(Number),
      last_active_at: expect.any(Number),
      expires_after: { anchor: 'last_active_at', minutes: 20 },
      ended_at: null,
      memory_limit: '1g',
      memory_bytes: 1024 ** 3,
      auto: false,
      session_key: 'a',
      live_sandbox: true,
      sandbox: 'awake',
      stays_awake: null,
    });
  });

  it('filters by status as it is now, and looking does not keep a container alive', async () => {
    const { id: projectId, key } = await server.project();
    const [running, idle, deleted] = [
      await newContainer(key),
      await newContainer(key),
      await newContainer(key),
    ];
    const long = new Date(Date.now() - 21 * 60_000);
    await server.prisma.container.update({ where: { id: idle }, data: { lastActiveAt: long } });
    await server.admin('DELETE', `/admin/v1/containers/${deleted}`);
    const ids = async (status: string) =>
      (await server.admin('GET', `/admin/v1/containers?project_id=${projectId}${status}`)).body.data.map(
        (each) => each.id,
      );
    expect(await ids('&status=running')).toEqual([running]);
    expect(await ids('&status=expired')).toEqual([idle]);
    expect(await ids('&status=deleted')).toEqual([deleted]);
    expect(await ids('')).toEqual([idle, running]);
    expect(await ids('&limit=1&order=asc')).toEqual([running]);
    expect((await server.admin('GET', `/admin/v1/containers/${idle}`)).body['status']).toBe('expired');
    expect((await server.admin('GET', '/admin/v1/containers?status=blue')).body.error.code).toBe(
      'invalid_value',
    );
    const row = await server.prisma.container.findUniqueOrThrow({ where: { id: idle } });
    expect(row.lastActiveAt).toEqual(long);
  });

  it('ends a container of any project, running code included', async () => {
    const { key } = await server.project();
    const container = await newContainer(key);
    const running = run(key, container, 'sleep:20000');
    const isServed = async () =>
      (await server.admin('GET', `/admin/v1/containers/${container}`)).body['live_sandbox'];
    await expect.poll(isServed).toBe(true);
    expect((await server.admin('DELETE', `/admin/v1/containers/${container}`)).body).toEqual({
      id: container,
      object: 'container.deleted',
      deleted: true,
    });
    expect((await running).status).toBe(200);
    expect((await server.ask(key, 'GET', `/v1/containers/${container}`)).status).toBe(404);
    expect((await server.admin('DELETE', `/admin/v1/containers/${container}`)).status).toBe(404);
    expect((await server.admin('GET', '/admin/v1/containers/cntr_none')).status).toBe(404);
  });

  it('shows executions without their code, unless it is asked for', async () => {
    const { id: projectId, key } = await server.project();
    const container = await newContainer(key);
    await run(key, container, 'print:secret');
    await run(key, container, 'raise:ValueError:no');
    const list = (query: string) =>
      server.admin('GET', `/admin/v1/executions?project_id=${projectId}${query}`);
    const plain = await list('');
    expect(plain.text).not.toContain('secret');
    expect(plain.body.data.map((each) => each['error_name'])).toEqual(['ValueError', null]);
    expect(plain.body.data[1]).toMatchObject({
      object: 'container.execution',
      container_id: container,
      project_id: projectId,
      status: 'completed',
      response_id: null,
    });
    const shown = await list(`&include=code&container_id=${container}&status=completed&order=asc`);
    expect(shown.body.data.map((each) => each['code'])).toEqual(['print:secret', 'raise:ValueError:no']);
    expect((await list('&status=running')).body.data).toEqual([]);
    const { id } = plain.body.data[0]!;
    expect((await server.admin('GET', `/admin/v1/executions/${id}?include[]=code`)).body['code']).toBe(
      'raise:ValueError:no',
    );
    expect((await server.admin('GET', '/admin/v1/executions/exec_none')).status).toBe(404);
  });
});

describe('usage', () => {
  it('adds up what a project holds and did', async () => {
    const { id, key } = await server.project();
    const container = await newContainer(key);
    await run(key, container, 'write:/mnt/data/a.txt:hello');
    await server.ask(key, 'POST', '/v1/responses', { model: 'python', input: 'print:1' });
    await server.prisma.response.create({
      data: {
        id: `resp_${id}`,
        projectId: id,
        status: 'completed',
        model: 'x',
        request: {},
        body: { usage: { input_tokens: 30, output_tokens: 12, total_tokens: 42 } },
        createdAt: new Date('2020-01-01T00:00:00Z'),
      },
    });
    const { body } = await server.admin('GET', `/admin/v1/projects/${id}/usage`);
    expect(body).toMatchObject({
      object: 'project.usage',
      project_id: id,
      from: null,
      to: null,
      containers: { running: 1, memory_bytes: 1024 ** 3, memory_pool_bytes: 64 * 1024 ** 3 },
      files: { count: 0, bytes: 0 },
      container_files: { count: 1, bytes: 5 },
      storage: { bytes: 5, quota_bytes: 100 * 1024 ** 3 },
      executions: { count: 1, duration_ms: expect.any(Number) },
    });
    const of = async (query: string) =>
      (await server.admin('GET', `/admin/v1/projects/${id}/usage?${query}`)).body;
    const early = Date.parse('2020-01-01T00:00:00Z') / 1000;
    expect((await of(`from=${early}&to=${early + 1}`))['responses']).toEqual({
      count: 1,
      input_tokens: 30,
      output_tokens: 12,
      total_tokens: 42,
    });
    expect((await of(`to=${early}`))['responses']).toMatchObject({ count: 0 });
    expect((await of(`from=${early + 1}&to=${early + 2}`))['executions']).toEqual({
      count: 0,
      duration_ms: 0,
    });
    const all = await server.admin('GET', '/admin/v1/usage?limit=100');
    expect(all.body.data.find((each) => each['project_id'] === id)).toEqual(body);
    expect((await server.admin('GET', '/admin/v1/projects/proj_none/usage')).status).toBe(404);
    expect((await server.admin('GET', `/admin/v1/projects/${id}/usage?from=x`)).status).toBe(400);
  });
});

describe('operations', () => {
  it('tells the state of the pool and of the queues', async () => {
    const ask = async () => (await server.admin('GET', '/admin/v1/pool')).body;
    await expect.poll(async () => ((await ask())['sizes'] as { warm: number }[])[0]!.warm).toBe(1);
    const pool = await ask();
    expect(pool).toMatchObject({
      object: 'pool',
      draining: false,
      host_free_memory_bytes: 16 * 1024 ** 3,
      memory_floor_bytes: 1024 ** 3,
    });
    expect(pool['sizes']).toHaveLength(4);
    expect(pool['bound_sandboxes']).toBe(
      await server.prisma.container.count({ where: { status: 'running', sandboxId: { not: null } } }),
    );
    const { body } = await server.admin('GET', '/admin/v1/queues');
    expect(body.data.map((each) => each.id)).toContain('retention');
    expect(body.data[0]).toMatchObject({ object: 'queue', waiting: expect.any(Number), failed: 0 });
  });

  it('sweeps at once and reports', async () => {
    const { key } = await server.project();
    const container = await newContainer(key);
    await run(key, container, 'print:1');
    const row = await server.prisma.container.findUniqueOrThrow({ where: { id: container } });
    const sandbox = row.sandboxId as SandboxId;
    expect(server.driver.engine.machines.has(sandbox)).toBe(true);
    await server.prisma.container.update({
      where: { id: container },
      data: { lastActiveAt: new Date(Date.now() - 21 * 60_000) },
    });
    const { body } = await server.admin('POST', '/admin/v1/sweep');
    expect(body).toMatchObject({ object: 'sweep', expired_containers: expect.any(Number) });
    expect(body['expired_containers']).toBeGreaterThanOrEqual(1);
    expect(server.driver.engine.machines.has(sandbox)).toBe(false);
    expect((await server.admin('POST', '/admin/v1/sweep', {})).body['expired_containers']).toBe(0);
  });

  it('reports of a sweep no more and no less than the document says', async () => {
    const { body } = await server.admin('POST', '/admin/v1/sweep');
    const { shape } = sweepSchema;
    expect(Object.keys(body).toSorted()).toEqual(Object.keys(shape).toSorted());
    const forgotten = Object.keys(body['forgotten'] as object).toSorted();
    expect(forgotten).toEqual(Object.keys(shape.forgotten.shape).toSorted());
  });

  it('drains: running code ends, new work is refused, the pool is empty; and resumes', async () => {
    const { key } = await server.project();
    const container = await newContainer(key);
    await run(key, container, 'print:1');
    const running = run(key, container, 'sleep:700\nprint:done');
    const executing = () => server.prisma.execution.count({ where: { status: 'running' } });
    await expect.poll(executing).toBe(1);
    const drained = await server.admin('POST', '/admin/v1/drain');
    expect(drained.body).toEqual({
      object: 'drain',
      draining: true,
      since: expect.any(Number),
      running_executions: 1,
    });
    for (const path of ['/v1/containers', `/v1/containers/${container}/executions`, '/v1/responses']) {
      const refused = await server.ask(key, 'POST', path, { name: 'a', code: 'print:1' });
      expect(refused.status).toBe(503);
      expect(refused.body.error.code).toBe('draining');
      expect(refused.headers['retry-after']).toBe('30');
    }
    expect((await server.ask(undefined, 'POST', '/v1/containers', { name: 'a' })).status).toBe(401);
    expect((await server.ask(key, 'GET', '/v1/containers')).status).toBe(200);
    const ready = await server.ask(undefined, 'GET', '/health/ready');
    expect([ready.status, ready.body['status']]).toEqual([503, 'draining']);
    expect((await server.admin('GET', '/admin/v1/pool')).body).toMatchObject({
      draining: true,
      sizes: [{ memory_limit: '1g', target: 1, warm: 0 }, {}, {}, {}],
    });
    expect((await running).text).toContain('done');
    expect((await server.admin('GET', '/admin/v1/drain')).body).toMatchObject({ running_executions: 0 });
    expect((await server.admin('POST', '/admin/v1/resume')).body).toMatchObject({
      draining: false,
      since: null,
    });
    expect((await server.ask(undefined, 'GET', '/health/ready')).body['status']).toBe('ok');
    expect((await run(key, container, 'print:again')).status).toBe(200);
  });
});
