/** What code leaves behind is kept, whatever goes wrong while it is stored. */
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { ApiError } from '../../../orchestrator/src/common/api-error.js';
import { ContainersService } from '../../../orchestrator/src/containers/containers.service.js';
import { ExecutionRepository } from '../../../orchestrator/src/containers/execution.repository.js';
import { ExecutionService } from '../../../orchestrator/src/containers/execution.service.js';
import { SweepService } from '../../../orchestrator/src/containers/sweep.service.js';
import { type Sandbox, SandboxError } from '../../../orchestrator/src/sandboxes/sandbox.driver.js';
import { BlobStore } from '../../../orchestrator/src/storage/blob.store.js';
import { FakeSandbox } from '../../fakes/sandboxes/fake.sandbox.js';
import { eventually } from '../../support/api.js';
import { takeDatabaseAway } from '../../support/database-outage.js';
import { type AdminApp, type Body, startAdminApp } from '../admin/admin-app.js';

const MOST_BYTES = 1_048_576;

let server: AdminApp;
beforeAll(async () => {
  server = await startAdminApp({ SANDBOX_DATA_BYTES: '1m' });
});
afterAll(() => server?.stop());
afterEach(() => {
  vi.restoreAllMocks();
});

async function container(): Promise<{ key: string; projectId: string; id: string }> {
  const { id: projectId, key } = await server.project();
  const made = await server.ask(key, 'POST', '/v1/containers', { name: 'analysis' });
  expect(made.status).toBe(200);
  return { key, projectId, id: made.body.id };
}

const run = async (key: string, id: string, ...lines: string[]): Promise<Body> => {
  const reply = await server.ask(key, 'POST', `/v1/containers/${id}/executions`, { code: lines.join('\n') });
  expect(reply.status).toBe(200);
  return reply.body;
};

const paths = async (key: string, id: string): Promise<unknown[]> => {
  const all: unknown[] = [];
  for (let after = ''; ; ) {
    const reply = await server.ask(key, 'GET', `/v1/containers/${id}/files?limit=100&order=asc${after}`);
    all.push(...reply.body.data.map((file) => file['path']));
    if (reply.body['has_more'] !== true) return all;
    after = `&after=${String(reply.body['last_id'])}`;
  }
};

const notices = (execution: Body): string[] =>
  (execution['outputs'] as { type: string; code?: string }[])
    .filter(({ type }) => type === 'notice')
    .map(({ code }) => code!);

describe('files that code left behind', () => {
  it('are all stored when the report of an execution was cut', async () => {
    const { key, id } = await container();
    const { execute } = FakeSandbox.prototype;
    vi.spyOn(FakeSandbox.prototype, 'execute').mockImplementation(async function* (
      this: Sandbox,
      ...call: Parameters<Sandbox['execute']>
    ) {
      for await (const event of execute.apply(this as FakeSandbox, call)) {
        yield event.type === 'finished'
          ? { ...event, files: event.files.slice(0, 3), filesTruncated: true }
          : event;
      }
    });
    const lines = Array.from({ length: 150 }, (_, index) => `write:/mnt/data/out/${index}.csv:${index}`);
    const execution = await run(key, id, ...lines);
    expect(execution['status']).toBe('completed');
    expect(execution['files']).toHaveLength(150);
    expect(await paths(key, id)).toHaveLength(150);
  });

  it.each(['changed', 'not_found', 'invalid_path'] as const)(
    'are stored although one of them cannot be read (%s), and that one with the next execution',
    async (code) => {
      const { key, id } = await container();
      await run(key, id, 'print:warm');
      const { getFiles } = FakeSandbox.prototype;
      vi.spyOn(FakeSandbox.prototype, 'getFiles').mockImplementation(async function* (
        this: Sandbox,
        ...call: Parameters<Sandbox['getFiles']>
      ) {
        for await (const file of getFiles.apply(this as FakeSandbox, call)) {
          if (!file.path.endsWith('/b.csv')) yield file;
          else yield { path: file.path, error: new SandboxError(code, 'it changed') };
        }
      });
      const names = ['a', 'b', 'c', 'd', 'e', 'f'];
      const execution = await run(key, id, ...names.map((name) => `write:/mnt/data/${name}.csv:${name}`));
      expect(execution['status']).toBe('completed');
      expect(await paths(key, id)).toHaveLength(5);
      if (code !== 'changed') return;
      expect(notices(execution)).toEqual(['files_not_stored']);
      vi.restoreAllMocks();
      await run(key, id, 'print:next');
      expect(await paths(key, id)).toHaveLength(6);
    },
  );

  it('are stored beside a figure that the full disk has no room for', async () => {
    const { key, id } = await container();
    const execution = await run(
      key,
      id,
      'write:/mnt/data/table.csv:1',
      `fill:/mnt/data/large.bin:${MOST_BYTES - 1}`,
      'image',
    );
    expect(execution['status']).toBe('completed');
    expect(notices(execution)).toContain('image_not_in_container');
    expect(await paths(key, id)).toEqual(
      expect.arrayContaining(['/mnt/data/large.bin', '/mnt/data/table.csv']),
    );
    const figure = (execution['outputs'] as { type: string; file_id: string }[]).find(
      ({ type }) => type === 'image',
    );
    const content = await server.ask(key, 'GET', `/v1/containers/${id}/files/${figure!.file_id}/content`);
    expect(content.status).toBe(200);
    // The figure counts as a file that its next sandbox may have no room for; the container goes on.
    for (const [sandboxId] of server.driver.engine.machines) server.driver.engine.kill(sandboxId);
    await sleep(50);
    const again = await run(key, id, 'print:still here');
    expect(again['status']).toBe('completed');
    expect(notices(again)).toEqual(['state_lost', 'files_missing']);
  });

  it('are stored beside a figure whose copy fails for a reason of the server', async () => {
    const { key, id } = await container();
    await run(key, id, 'print:warm');
    vi.spyOn(FakeSandbox.prototype, 'putFile').mockRejectedValueOnce(new Error('the content is lost'));
    const execution = await run(key, id, 'write:/mnt/data/beside.csv:1', 'image');
    expect(execution['status']).toBe('completed');
    expect(notices(execution)).toEqual(['image_not_in_container']);
    expect(await paths(key, id)).toContain('/mnt/data/beside.csv');
  });

  it('are stored when the client leaves in the middle of a stream', async () => {
    const { key, projectId, id } = await container();
    const row = await server.app.get(ContainersService).use(projectId, id);
    const code = 'write:/mnt/data/early.csv:1\nprint:begun\nsleep:60000';
    for await (const event of server.app.get(ExecutionService).run(row, code)) {
      if (event.type === 'output') break;
    }
    const [execution] = await eventually(
      async () => (await server.ask(key, 'GET', `/v1/containers/${id}/executions`)).body.data,
      ([last]) => last?.['completed_at'] !== null,
    );
    expect(execution!['status']).toBe('interrupted');
    expect(execution!['outputs']).toEqual(expect.arrayContaining([{ type: 'stdout', text: 'begun\n' }]));
    expect(await paths(key, id)).toEqual(['/mnt/data/early.csv']);
  });

  it('are stored, with the end of the execution, when the database was away meanwhile', async () => {
    const { key, id } = await container();
    await run(key, id, 'print:warm');
    const running = run(key, id, 'write:/mnt/data/during.csv:1', 'sleep:300', 'print:done');
    await sleep(100);
    const outage = await takeDatabaseAway(server.databaseUrl);
    await sleep(2_500);
    await outage.end();
    const execution = await running;
    expect(execution['status']).toBe('completed');
    expect(execution['outputs']).toEqual([{ type: 'stdout', text: 'done\n' }]);
    expect(await paths(key, id)).toEqual(['/mnt/data/during.csv']);
  });

  it('are stored by the sweep once the full storage has room again', async () => {
    const { key, id } = await container();
    await run(key, id, 'print:warm');
    vi.spyOn(server.app.get(BlobStore), 'stage').mockImplementation(async (content) => {
      if (content instanceof Readable) content.resume();
      throw new ApiError('storage_full', 'The disk of the server is full.');
    });
    const execution = await run(key, id, 'write:/mnt/data/late.csv:1', 'image', 'print:done');
    expect(execution['status']).toBe('completed');
    expect(notices(execution)).toEqual(['image_not_kept', 'files_not_stored']);
    expect(await paths(key, id)).toEqual([]);
    vi.restoreAllMocks();
    await server.app.get(SweepService).sweep();
    expect(await paths(key, id)).toEqual(['/mnt/data/late.csv']);
  });

  it('are stored before a sandbox ends with its expired container', async () => {
    const { key, id } = await container();
    await run(key, id, 'print:warm');
    vi.spyOn(server.app.get(BlobStore), 'stage').mockRejectedValueOnce(
      new ApiError('storage_full', 'The disk of the server is full.'),
    );
    await run(key, id, 'write:/mnt/data/last.csv:1');
    await server.prisma.container.update({ where: { id }, data: { lastActiveAt: new Date(0) } });
    await server.app.get(SweepService).sweep();
    const rows = await server.prisma.containerFile.findMany({ where: { containerId: id } });
    expect(rows.map(({ path }) => path)).toEqual(['/mnt/data/last.csv']);
    const row = await server.prisma.container.findUniqueOrThrow({ where: { id } });
    expect(row).toMatchObject({ status: 'expired', sandboxId: null });
  });

  it('are left out, and said to be, when the quota of the project is used up', async () => {
    const { key, projectId, id } = await container();
    await server.prisma.project.update({ where: { id: projectId }, data: { storageQuotaBytes: 100_000n } });
    const execution = await run(
      key,
      id,
      'fill:/mnt/data/small.bin:1000',
      'fill:/mnt/data/large.bin:200000',
      'write:/mnt/data/table.csv:1',
    );
    expect(execution['status']).toBe('completed');
    expect(notices(execution)).toEqual(['files_not_stored']);
    expect((await paths(key, id)).toSorted()).toEqual(['/mnt/data/small.bin', '/mnt/data/table.csv']);
    await server.prisma.project.update({ where: { id: projectId }, data: { storageQuotaBytes: null } });
    await run(key, id, 'print:next');
    expect(await paths(key, id)).toHaveLength(3);
  });

  it('do not count when the container has had another sandbox since', async () => {
    const { key, id } = await container();
    await run(key, id, 'print:warm');
    const running = run(key, id, 'write:/mnt/data/stale.csv:1', 'sleep:300');
    await sleep(100);
    await server.prisma.container.update({ where: { id }, data: { generation: { increment: 1 } } });
    await running;
    expect(await paths(key, id)).toEqual([]);
  });
});

describe('an execution', () => {
  it('that waits for its turn ends as soon as it is cancelled', async () => {
    const { key, id } = await container();
    const first = run(key, id, 'sleep:60000');
    const list = async () => (await server.ask(key, 'GET', `/v1/containers/${id}/executions`)).body.data;
    await eventually(list, ([row]) => row?.['status'] === 'running');
    const second = run(key, id, 'print:never');
    const [queued, busy] = await eventually(list, ({ length }) => length === 2);
    await server.ask(key, 'POST', `/v1/containers/${id}/executions/${queued!.id}/cancel`);
    expect((await second)['status']).toBe('interrupted');
    await server.ask(key, 'POST', `/v1/containers/${id}/executions/${busy!.id}/cancel`);
    expect((await first)['status']).toBe('interrupted');
  });

  it('of an earlier process says that the server was restarted', async () => {
    const { key, projectId, id } = await container();
    await server.prisma.execution.create({
      data: {
        id: 'exec_abandoned',
        containerId: id,
        projectId,
        code: 'print:1',
        timeoutMs: 1000,
        status: 'running',
      },
    });
    await server.app.get(ExecutionService).onApplicationBootstrap();
    const reply = await server.ask(key, 'GET', `/v1/containers/${id}/executions/exec_abandoned`);
    expect(reply.body['status']).toBe('failed');
    expect(notices(reply.body)).toEqual(['server_restarted']);
  });

  it('is written down also when the database lost that it had begun', async () => {
    const { key, id } = await container();
    const { execute } = FakeSandbox.prototype;
    vi.spyOn(FakeSandbox.prototype, 'execute').mockImplementation(async function* (
      this: Sandbox,
      ...call: Parameters<Sandbox['execute']>
    ) {
      // Its row does not wait for the disk: this is what a PostgreSQL that is killed in that moment keeps.
      await server.prisma.execution.deleteMany({ where: { containerId: id } });
      yield* execute.apply(this, call);
    });
    const reply = await run(key, id, 'print:made', 'write:/mnt/data/made.csv:1');
    expect([reply['status'], reply['outputs'], (reply['files'] as unknown[]).length]).toEqual([
      'completed',
      [{ type: 'stdout', text: 'made\n' }],
      1,
    ]);
    const again = await server.ask(key, 'GET', `/v1/containers/${id}/executions/${reply.id}`);
    expect(again.body).toEqual(reply);
  });

  it('whose end cannot be stored has failed, and says so beside what was printed', async () => {
    const { key, id } = await container();
    vi.spyOn(ExecutionRepository.prototype, 'finish').mockRejectedValue(new Error('no such project'));
    const reply = await run(key, id, 'print:made');
    expect([reply['status'], reply['outputs']]).toEqual([
      'failed',
      [
        { type: 'stdout', text: 'made\n' },
        { type: 'notice', code: 'execution_not_stored', message: expect.stringContaining('run it again') },
      ],
    ]);
  });

  it('is one of a page that stays small, however large its neighbours are', async () => {
    const { key, projectId, id } = await container();
    for (const name of ['exec_1', 'exec_2', 'exec_3', 'exec_4']) {
      await server.prisma.execution.create({
        data: {
          id: `${name}_${id}`,
          containerId: id,
          projectId,
          code: '#'.repeat(3_000_000),
          timeoutMs: 1000,
          status: 'completed',
        },
      });
    }
    const first = await server.ask(key, 'GET', `/v1/containers/${id}/executions?limit=100&order=asc`);
    expect(first.body.data).toHaveLength(1);
    expect(first.body['has_more']).toBe(true);
    const next = await server.ask(
      key,
      'GET',
      `/v1/containers/${id}/executions?limit=100&order=asc&after=${String(first.body['last_id'])}`,
    );
    expect(next.body.data.map((row) => row.id)).toEqual([`exec_2_${id}`]);
  });
});

describe('code whose sandbox the host ended for its memory', () => {
  it('is out of memory, and the next code runs with the files of before', async () => {
    const { key, id } = await container();
    await run(key, id, 'set:n=3', 'write:/mnt/data/before.csv:1');
    const ended = await run(key, id, 'write:/mnt/data/lost.csv:1', 'burst');
    expect([ended['status'], ended['state_lost']]).toEqual(['out_of_memory', true]);
    expect(ended['outputs']).toEqual([
      { type: 'notice', code: 'out_of_memory', message: 'it needed too much' },
    ]);
    const next = await run(key, id, 'get:n');
    expect([next['state_lost'], notices(next)]).toEqual([true, ['state_lost']]);
    expect(await paths(key, id)).toEqual(['/mnt/data/before.csv']);
  });
});
