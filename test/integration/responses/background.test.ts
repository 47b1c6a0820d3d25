/** Background responses in states that a crash or a race leaves behind. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { QueuesLifecycle } from '../../../orchestrator/src/queues/queues.lifecycle.js';
import { SandboxDriver } from '../../../orchestrator/src/sandboxes/sandbox.driver.js';
import { FakeExecution } from '../../fakes/sandboxes/fake-execution.js';
import { eventually } from '../../support/api.js';
import { type AdminApp, startAdminApp } from '../admin/admin-app.js';

const TOOLS = [{ type: 'code_interpreter', container: { type: 'auto' } }];

let server: AdminApp;
beforeAll(async () => {
  server = await startAdminApp();
});
afterAll(() => server?.stop());

async function begin(key: string, input: string): Promise<string> {
  const body = { model: 'python', input, tools: TOOLS, background: true, stream: false };
  const reply = await server.ask(key, 'POST', '/v1/responses', body);
  if (reply.status !== 200) throw new Error(reply.text);
  return reply.body.id;
}

const response = async (key: string, id: string) =>
  (await server.ask(key, 'GET', `/v1/responses/${id}`)).body;
const until = (key: string, id: string, ...statuses: string[]) =>
  eventually(
    () => response(key, id),
    ({ status }) => statuses.includes(status as string),
    40_000,
  );

describe('a background response', () => {
  it('shows that it runs', async () => {
    const { key } = await server.project();
    const id = await begin(key, 'sleep:60000');
    expect((await until(key, id, 'in_progress'))['status']).toBe('in_progress');
    expect((await server.ask(key, 'POST', `/v1/responses/${id}/cancel`)).body['status']).toBe('cancelled');
  });

  it('does not run when it was cancelled while nobody had it', async () => {
    const { id: project, key } = await server.project();
    await server.admin('POST', `/admin/v1/projects/${project}`, { concurrent_runs: 1 });
    const first = await begin(key, 'sleep:60000');
    await until(key, first, 'in_progress');
    const second = await begin(key, 'print:never');
    await server.prisma.response.update({ where: { id: second }, data: { cancelRequestedAt: new Date() } });
    await server.ask(key, 'POST', `/v1/responses/${first}/cancel`);
    expect((await until(key, second, 'cancelled', 'completed', 'failed'))['status']).toBe('cancelled');
    expect(await server.prisma.execution.count({ where: { responseId: second } })).toBe(0);
  });

  it('ends although its events cannot be read', async () => {
    const { id: project, key } = await server.project();
    await server.admin('POST', `/admin/v1/projects/${project}`, { concurrent_runs: 1 });
    const first = await begin(key, 'sleep:60000');
    await until(key, first, 'in_progress');
    const id = await begin(key, 'print:1');
    const event = {
      type: 'response.output_item.added',
      sequence_number: 0,
      item: { id: 'x', type: 'spoilt' },
    };
    await server.prisma.responseEvent.create({ data: { responseId: id, sequenceNumber: 0, event } });
    await server.prisma.response.update({
      where: { id },
      data: { status: 'in_progress', attempt: 5, leaseUntil: new Date(0) },
    });
    await server.ask(key, 'POST', `/v1/responses/${first}/cancel`);
    expect(await until(key, id, 'failed')).toMatchObject({
      status: 'failed',
      error: { code: 'server_error', message: expect.stringContaining('not tried again') as string },
      output: [],
    });
  });

  it('is given back before its code has ended, when the server stops', async () => {
    const own = await startAdminApp();
    const { key } = await own.project();
    // Code that is killed when it does not stop may have ended before a busy machine looks; and code that
    // has not reached its sandbox, though its row says `running`, is not even begun.
    const began = vi.spyOn(FakeExecution.prototype, 'run');
    const body = { model: 'python', input: 'deaf:60000', tools: TOOLS, background: true };
    const { id } = (await own.ask(key, 'POST', '/v1/responses', body)).body;
    const runs = () => own.prisma.execution.findFirst({ where: { responseId: id } });
    await vi.waitFor(() => expect(began).toHaveBeenCalledOnce(), 20_000);
    began.mockRestore();
    own.app.get(QueuesLifecycle).letGo();
    const row = await eventually(
      () => own.prisma.response.findUniqueOrThrow({ where: { id } }),
      ({ leaseUntil }) => leaseUntil! < new Date(),
    );
    expect([row.status, row.leaseUntil! < new Date(), (await runs())!.status]).toEqual([
      'in_progress',
      true,
      'running',
    ]);
    const driver = own.app.get(SandboxDriver);
    for (const sandbox of await driver.list()) await driver.destroy(sandbox.id);
    await own.stop();
  });

  it('does not keep the server from stopping: it is let go of, and taken up by the next', async () => {
    const own = await startAdminApp();
    const { key } = await own.project();
    const body = { model: 'python', input: 'sleep:60000', tools: TOOLS, background: true };
    const { id } = (await own.ask(key, 'POST', '/v1/responses', body)).body;
    await eventually(
      async () => (await own.ask(key, 'GET', `/v1/responses/${id}`)).body['status'],
      (status) => status === 'in_progress',
    );
    // Somebody who follows it does not keep it from stopping either.
    const followed = own.app.inject({
      method: 'POST',
      url: '/v1/responses',
      headers: { authorization: `Bearer ${key}` },
      payload: { ...body, stream: true },
    });
    await eventually(
      () => own.prisma.response.count({ where: { status: 'in_progress' } }),
      (count) => count === 2,
    );
    const started = performance.now();
    await own.stop();
    expect(performance.now() - started).toBeLessThan(10_000);
    expect((await followed).body).not.toContain('response.completed');
  });
});
