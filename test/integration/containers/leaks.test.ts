/** Sandboxes, bindings and rows agree after one sweep, whatever failed in between. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SandboxBindings } from '../../../orchestrator/src/containers/sandbox-bindings.js';
import { SweepService } from '../../../orchestrator/src/containers/sweep.service.js';
import { SandboxError } from '../../../orchestrator/src/sandboxes/sandbox.driver.js';
import { type AdminApp, startAdminApp } from '../admin/admin-app.js';

let server: AdminApp;
beforeAll(async () => {
  server = await startAdminApp({ SANDBOX_POOL: '1g=0' });
});
afterAll(() => server?.stop());

const LONG_AGO = new Date(0);
const sandboxes = () => [...server.driver.engine.machines.keys()];
const sweep = () => server.app.get(SweepService).sweep(0);

/** As if this were another process than the one that bound them. */
const forgetBindings = () =>
  (Reflect.get(server.app.get(SandboxBindings), 'bindings') as Map<string, unknown>).clear();

async function container(key: string, body: Record<string, unknown> = {}): Promise<string> {
  const made = await server.ask(key, 'POST', '/v1/containers', { name: 'report', ...body });
  expect(made.status).toBe(200);
  const run = await server.ask(key, 'POST', `/v1/containers/${made.body.id}/executions`, { code: 'print:1' });
  expect(run.body['status']).toBe('completed');
  return made.body.id;
}

const expire = (id: string) =>
  server.prisma.container.update({ where: { id }, data: { lastActiveAt: LONG_AGO } });

describe('no sandbox is left', () => {
  it('by a session that had run out when its key was used again', async () => {
    const { key } = await server.project();
    const first = await container(key, { session_key: 'weekly' });
    await expire(first);
    const second = await container(key, { session_key: 'weekly' });
    expect(second).not.toBe(first);
    expect(sandboxes()).toHaveLength(1);
    await server.ask(key, 'DELETE', `/v1/containers/${second}`);
    expect(sandboxes()).toEqual([]);
  });

  it('by an engine that refused to end one of several', async () => {
    const { key } = await server.project();
    for (const id of [await container(key), await container(key), await container(key)]) await expire(id);
    server.driver.faults.nextDestroy = new SandboxError('engine_unavailable', 'busy');
    await sweep();
    expect(sandboxes()).toHaveLength(0);
    expect(await server.prisma.container.count({ where: { sandboxId: { not: null } } })).toBe(0);
  });

  it('by a delete that the engine refused', async () => {
    const { key } = await server.project();
    const id = await container(key);
    server.driver.faults.nextDestroy = new SandboxError('engine_unavailable', 'busy');
    expect((await server.ask(key, 'DELETE', `/v1/containers/${id}`)).status).toBe(200);
    expect(sandboxes()).toHaveLength(1);
    await sweep();
    expect(sandboxes()).toEqual([]);
  });

  it('by a container whose row is gone', async () => {
    const { key } = await server.project();
    const id = await container(key);
    await server.prisma.container.delete({ where: { id } });
    await sweep();
    expect(sandboxes()).toEqual([]);
  });

  it('by a container whose row names another one', async () => {
    const { key } = await server.project();
    const id = await container(key);
    await server.prisma.container.update({ where: { id }, data: { sandboxId: null } });
    await sweep();
    expect(sandboxes()).toEqual([]);
  });
});

it('a row that names a sandbox which is gone gets another one', async () => {
  const { key } = await server.project();
  const id = await container(key);
  await server.prisma.container.update({ where: { id }, data: { sandboxId: 'nowhere' } });
  await sweep();
  const row = await server.prisma.container.findUniqueOrThrow({ where: { id } });
  expect(row.sandboxId).toBeNull();
  const run = await server.ask(key, 'POST', `/v1/containers/${id}/executions`, { code: 'print:2' });
  expect(run.body['status']).toBe('completed');
  await server.ask(key, 'DELETE', `/v1/containers/${id}`);
});

it('a container whose code outlived an outage of the database is not swept away', async () => {
  const { key } = await server.project();
  const id = await container(key);
  const running = server.ask(key, 'POST', `/v1/containers/${id}/executions`, {
    code: 'sleep:600\nprint:end',
  });
  await sleep(150);
  await expire(id);
  await sweep();
  expect((await running).body['status']).toBe('completed');
  await server.ask(key, 'DELETE', `/v1/containers/${id}`);
});

it('an engine that is busy when a sandbox is taken up again does not cost its variables', async () => {
  const { key } = await server.project();
  const id = await container(key);
  await server.ask(key, 'POST', `/v1/containers/${id}/executions`, { code: 'set:total=41' });
  const row = await server.prisma.container.findUniqueOrThrow({ where: { id } });
  forgetBindings();
  server.driver.faults.nextAttach = new SandboxError('engine_unavailable', 'busy');
  const refused = await server.ask(key, 'POST', `/v1/containers/${id}/executions`, { code: 'get:total' });
  expect(refused.body['status']).toBe('failed');
  const taken = await server.ask(key, 'POST', `/v1/containers/${id}/executions`, { code: 'get:total' });
  expect(taken.body['outputs']).toEqual([{ type: 'stdout', text: '41\n' }]);
  expect(sandboxes()).toEqual([row.sandboxId]);
});
