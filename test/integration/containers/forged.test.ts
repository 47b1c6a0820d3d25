/** A change of equal size whose time of modification was set back is seen when reports are not to be relied on. */
import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Sandbox } from '../../../orchestrator/src/sandboxes/sandbox.driver.js';
import { FakeSandbox } from '../../fakes/sandboxes/fake.sandbox.js';
import { type AdminApp, type Body, startAdminApp } from '../admin/admin-app.js';

const PATH = '/mnt/data/forged';

let server: AdminApp;
beforeAll(async () => {
  server = await startAdminApp();
});
afterAll(() => server?.stop());
afterEach(() => {
  vi.restoreAllMocks();
});

async function container(): Promise<{ key: string; id: string }> {
  const { key } = await server.project();
  return { key, id: (await server.ask(key, 'POST', '/v1/containers', { name: 'analysis' })).body.id };
}

const run = async (key: string, id: string, ...lines: string[]): Promise<Body> => {
  const reply = await server.ask(key, 'POST', `/v1/containers/${id}/executions`, { code: lines.join('\n') });
  expect(reply.status).toBe(200);
  return reply.body;
};

/** What is stored under PATH. */
const stored = (id: string) =>
  server.prisma.containerFile.findUniqueOrThrow({
    where: { containerId_path: { containerId: id, path: PATH } },
  });

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** From now on executions tell nothing of what they changed, and say so. */
function loseReports(): void {
  const { execute } = FakeSandbox.prototype;
  vi.spyOn(FakeSandbox.prototype, 'execute').mockImplementation(async function* (
    this: Sandbox,
    ...call: Parameters<Sandbox['execute']>
  ) {
    for await (const event of execute.apply(this as FakeSandbox, call))
      yield event.type === 'finished' ? { ...event, files: [], filesTruncated: true } : event;
  });
}

describe('a file whose time was set back', () => {
  it('is stored as it is now, whoever put it there', async () => {
    const { key, id } = await container();
    await run(key, id, `write:${PATH}:before`);
    loseReports();
    const execution = await run(key, id, `forge:${PATH}:after!`);
    expect(execution['files']).toMatchObject([{ path: PATH, change: 'modified' }]);
    expect((await stored(id)).blobSha256).toBe(sha256('after!'));
    // Known now as it is: nothing more to be told.
    expect((await run(key, id, 'print:next'))['files']).toEqual([]);
  });

  it('is stored also where the record is older than stamps, which it then has', async () => {
    const { key, id } = await container();
    await run(key, id, `write:${PATH}:before`);
    await server.prisma.containerFile.updateMany({ where: { containerId: id }, data: { stamp: null } });
    loseReports();
    await run(key, id, `forge:${PATH}:after!`);
    expect((await stored(id)).blobSha256).toBe(sha256('after!'));
    expect((await stored(id)).stamp).not.toBeNull();
  });

  it('is known anew in a sandbox that it was copied into', async () => {
    const { key, id } = await container();
    await run(key, id, `write:${PATH}:before`);
    for (const [sandboxId] of server.driver.engine.machines) server.driver.engine.kill(sandboxId);
    await vi.waitFor(async () => expect((await run(key, id, 'print:again'))['state_lost']).toBe(true));
    loseReports();
    expect((await run(key, id, 'print:nothing'))['files']).toEqual([]);
    await run(key, id, `forge:${PATH}:after!`);
    expect((await stored(id)).blobSha256).toBe(sha256('after!'));
  });
});
