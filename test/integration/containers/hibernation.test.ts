/** Containers that nobody uses sleep, and nobody notices but for their variables, which are still there. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { ContainersService } from '../../../orchestrator/src/containers/containers.service.js';
import { SandboxBindings } from '../../../orchestrator/src/containers/sandbox-bindings.js';
import { SweepService } from '../../../orchestrator/src/containers/sweep.service.js';
import { SandboxPool } from '../../../orchestrator/src/sandboxes/sandbox.pool.js';
import { SandboxError, type SandboxId } from '../../../orchestrator/src/sandboxes/sandbox.driver.js';
import { type AdminApp, type Answer, startAdminApp } from '../admin/admin-app.js';

let server: AdminApp;
let key: string;
let bindings: SandboxBindings;
beforeAll(async () => {
  // The timer never comes: what falls asleep does when a test says so.
  server = await startAdminApp({ SANDBOX_POOL: '1g=0', HIBERNATE_AFTER_SECONDS: '86400' });
  bindings = server.app.get(SandboxBindings);
  ({ key } = await server.project());
});
afterAll(() => server?.stop());
afterEach(() => {
  vi.restoreAllMocks();
  server.driver.slept.length = server.driver.woken.length = 0;
});

async function container(withKey = key): Promise<string> {
  const made = await server.ask(withKey, 'POST', '/v1/containers', { name: 'ledger' });
  return made.body['id'] as string;
}

const run = (id: string, ...lines: string[]): Promise<Answer> =>
  server.ask(key, 'POST', `/v1/containers/${id}/executions`, { code: lines.join('\n') });

const textOf = (reply: Answer): string =>
  (reply.body['outputs'] as { type: string; text?: string }[])
    .filter(({ type }) => type === 'stdout')
    .map(({ text }) => text)
    .join('');

const paths = async (id: string): Promise<unknown[]> =>
  (await server.ask(key, 'GET', `/v1/containers/${id}/files`)).body.data.map((file) => file['path']);

async function metric(name: string): Promise<number> {
  const { text } = await server.admin('GET', '/metrics');
  return Number(new RegExp(`^code_interpreter_${name} (\\d+)$`, 'm').exec(text)?.[1]);
}

async function allAsleep(): Promise<void> {
  while (await bindings.sleepIdlest(0));
}

const sandboxOf = async (id: string) =>
  (await server.prisma.container.findUniqueOrThrow({ where: { id } })).sandboxId as SandboxId;

describe('a container that sleeps', () => {
  it('goes on where it was, without a word', async () => {
    const id = await container();
    await run(id, 'set:total=7');
    await allAsleep();
    expect(server.driver.slept).toEqual([await sandboxOf(id)]);
    const seen = async () => (await server.admin('GET', `/admin/v1/containers/${id}`)).body;
    expect(await seen()).toMatchObject({ live_sandbox: true, sandbox: 'asleep', stays_awake: null });
    expect(await metric('sandboxes_asleep')).toBe(1);
    expect(await metric('sandboxes_asleep_bytes')).toBe(2_000_000);
    const reply = await run(id, 'get:total');
    expect(reply.body).toMatchObject({ status: 'completed', state_lost: false });
    expect((reply.body['outputs'] as object[]).length).toBe(1);
    expect(textOf(reply)).toBe('7\n');
    expect(server.driver.woken).toEqual(server.driver.slept);
    expect(await seen()).toMatchObject({ sandbox: 'awake', stays_awake: null });
  });

  it('has no share of the memory pool until it is used again', async () => {
    const { id: project, key: other } = await server.project();
    await server.admin('POST', `/admin/v1/projects/${project}`, { memory_pool: '1g' });
    const first = await container(other);
    const use = (id: string) =>
      server.ask(other, 'POST', `/v1/containers/${id}/executions`, { code: 'get:a' });
    await server.ask(other, 'POST', `/v1/containers/${first}/executions`, { code: 'set:a=1' });
    expect((await server.ask(other, 'POST', '/v1/containers', { name: 'b' })).status).toBe(429);
    await allAsleep();
    const second = await container(other);
    expect(second).toMatch(/^cntr_/);
    expect((await use(first)).status).toBe(429);
    await server.ask(other, 'DELETE', `/v1/containers/${second}`);
    const reply = await use(first);
    expect([reply.status, textOf(reply)]).toEqual([200, '1\n']);
  });

  it('has the files that came meanwhile, and not those that went', async () => {
    const id = await container();
    await run(
      id,
      'write:/mnt/data/stays.txt:1',
      'write:/mnt/data/goes.txt:2',
      'write:/mnt/data/changes.txt:3',
    );
    await allAsleep();
    const files = (await server.ask(key, 'GET', `/v1/containers/${id}/files`)).body.data;
    const goes = files.find((file) => file['path'] === '/mnt/data/goes.txt')!;
    expect((await server.ask(key, 'DELETE', `/v1/containers/${id}/files/${goes.id}`)).status).toBe(200);
    expect(server.driver.woken).toEqual([]);
    await run(id, 'print:on');
    expect(await paths(id)).not.toContain('/mnt/data/goes.txt');
    const sandbox = await server.driver.attach(await sandboxOf(id));
    const inside = (await sandbox.listFiles()).entries.map(({ path }) => path);
    expect(inside).toEqual(['/mnt/data/changes.txt', '/mnt/data/stays.txt']);
    // A file of that name that code writes is another one.
    await run(id, 'write:/mnt/data/goes.txt:again');
    await allAsleep();
    await run(id, 'print:on');
    expect(await paths(id)).toContain('/mnt/data/goes.txt');
  });

  it.each(['deleted', 'expired'])('is gone from the disk when it is %s', async (how) => {
    const id = await container();
    await run(id, 'set:a=1');
    await allAsleep();
    const sandboxId = await sandboxOf(id);
    if (how === 'deleted') await server.ask(key, 'DELETE', `/v1/containers/${id}`);
    else {
      await server.prisma.container.update({ where: { id }, data: { lastActiveAt: new Date(0) } });
      await server.app.get(SweepService).sweep();
    }
    expect(server.driver.engine.machines.has(sandboxId)).toBe(false);
    expect((await run(id, 'get:a')).status).toBe(404);
  });

  it('is none while a response holds it, and keeps its share when its memory is needed', async () => {
    const id = await container();
    await run(id, 'set:a=1');
    const release = server.app.get(ContainersService).hold(id);
    try {
      expect(await bindings.sleepIdlest(0)).toBe(false);
      expect(await bindings.giveUpIdlest(0)).toBe(true);
      expect(server.driver.slept).toHaveLength(1);
      const { aside } = await server.prisma.container.findUniqueOrThrow({ where: { id } });
      expect(aside).toBe(false);
    } finally {
      release();
    }
    expect(textOf(await run(id, 'get:a'))).toBe('1\n');
    await allAsleep();
  });

  it('is left alone by the sweep', async () => {
    const id = await container();
    await run(id, 'set:a=1');
    await allAsleep();
    await server.app.get(SweepService).sweep(0);
    expect(textOf(await run(id, 'get:a'))).toBe('1\n');
  });

  it('loses no request that comes while it falls asleep, and runs none twice', async () => {
    const id = await container();
    await run(id, 'set:a=1');
    const { hibernate } = server.driver;
    server.driver.hibernate = async (sandboxId) => {
      await sleep(20);
      await hibernate.call(server.driver, sandboxId);
      await sleep(20);
    };
    try {
      let isOver = false;
      const sleeper = (async () => {
        while (!isOver) {
          await bindings.sleepIdlest(0);
          await sleep(5);
        }
      })();
      const user = async (name: string) => {
        for (let turn = 0; turn < 15; turn += 1) {
          const reply = await run(id, 'get:a', `write:/mnt/data/${name}-${turn}.txt:1`);
          expect([reply.status, reply.body['state_lost'], textOf(reply)]).toEqual([200, false, '1\n']);
          await sleep(Math.random() * 60);
        }
      };
      await Promise.all([user('one'), user('two')]);
      isOver = true;
      await sleeper;
    } finally {
      server.driver.hibernate = hibernate;
    }
    expect(server.driver.slept.length).toBeGreaterThan(3);
    expect(await server.prisma.execution.count({ where: { containerId: id } })).toBe(31);
    expect(await server.prisma.containerFile.count({ where: { containerId: id, deletedAt: null } })).toBe(30);
  });
});

describe('a sandbox that does not fall asleep', () => {
  it('stays as it was, and is asked again only after its next use', async () => {
    const id = await container();
    await run(id, 'set:a=1');
    const hibernate = vi.spyOn(server.driver, 'hibernate');
    hibernate.mockRejectedValue(new SandboxError('busy', 'it is too large'));
    for (const times of [1, 1]) {
      expect(await bindings.sleepIdlest(0)).toBe(false);
      expect(hibernate).toHaveBeenCalledTimes(times);
    }
    const seen = await server.admin('GET', `/admin/v1/containers/${id}`);
    expect(seen.body).toMatchObject({ sandbox: 'awake', stays_awake: 'it is too large' });
    expect(textOf(await run(id, 'get:a'))).toBe('1\n');
    expect(await bindings.sleepIdlest(0)).toBe(false);
    expect(hibernate).toHaveBeenCalledTimes(2);
    hibernate.mockRestore();
    await run(id, 'get:a');
    await allAsleep();
  });

  it('is not in the way of those that were used after it', async () => {
    const [stuck, free] = [await container(), await container()];
    await run(stuck, 'set:a=1');
    await run(free, 'set:a=2');
    const stuckId = await sandboxOf(stuck);
    const { hibernate } = server.driver;
    server.driver.hibernate = (id) =>
      id === stuckId
        ? Promise.reject(new SandboxError('busy', 'it is too large'))
        : hibernate.call(server.driver, id);
    try {
      expect(await bindings.sleepIdlest(0)).toBe(true);
      expect(server.driver.slept).toEqual([await sandboxOf(free)]);
    } finally {
      server.driver.hibernate = hibernate;
    }
    await run(stuck, 'get:a');
    await allAsleep();
  });

  it('half-way is taken up again if it goes on', async () => {
    const id = await container();
    await run(id, 'set:a=1');
    server.driver.faults.nextHibernate = new SandboxError('start_failed', 'no checkpoint');
    await bindings.sleepIdlest(0);
    const reply = await run(id, 'get:a');
    expect([reply.body['state_lost'], textOf(reply)]).toEqual([false, '1\n']);
    await allAsleep();
  });

  it('and is gone loses its variables, not its files', async () => {
    const id = await container();
    await run(id, 'set:a=1', 'write:/mnt/data/kept.txt:1');
    await allAsleep();
    server.driver.engine.kill(await sandboxOf(id));
    const reply = await run(id, 'print:on');
    expect(reply.body).toMatchObject({ status: 'completed', state_lost: true });
    expect(await paths(id)).toEqual(['/mnt/data/kept.txt']);
    await allAsleep();
  });
});

describe('the longest idle time', () => {
  const create = (on: AdminApp, withKey: string, minutes?: number) =>
    on.ask(withKey, 'POST', '/v1/containers', {
      name: 'idle',
      ...(minutes === undefined ? {} : { expires_after: { anchor: 'last_active_at', minutes } }),
    });

  it('is twenty minutes, unless the operator allows more', async () => {
    const refused = await create(server, key, 21);
    expect([refused.status, refused.body.error]).toMatchObject([
      400,
      {
        code: 'integer_above_max_value',
        param: 'expires_after.minutes',
        message: expect.stringContaining('<= 20, but got 21') as unknown,
      },
    ]);
    const other = await startAdminApp({ SANDBOX_POOL: '1g=0', CONTAINER_MAX_IDLE_MINUTES: '1440' });
    try {
      const { key: theirs } = await other.project();
      expect((await create(other, theirs, 1_440)).body['expires_after']).toMatchObject({ minutes: 1_440 });
      expect((await create(other, theirs)).body['expires_after']).toMatchObject({ minutes: 20 });
      expect((await create(other, theirs, 1_441)).status).toBe(400);
    } finally {
      await other.stop();
    }
  });
});

describe('by themselves', () => {
  it(
    'those sleep that nobody uses, and the oldest give way to the budget on disk',
    { timeout: 60_000 },
    async () => {
      // The fake says that each takes two megabytes.
      const other = await startAdminApp({
        SANDBOX_POOL: '1g=0',
        HIBERNATE_AFTER_SECONDS: '1',
        HIBERNATE_DISK_BYTES: '4m',
      });
      try {
        const { key: theirs } = await other.project();
        const ids: string[] = [];
        const execute = (id: string, code: string) =>
          other.ask(theirs, 'POST', `/v1/containers/${id}/executions`, { code });
        for (const name of ['a', 'b', 'c']) {
          const made = await other.ask(theirs, 'POST', '/v1/containers', { name });
          ids.push(made.body.id);
          await execute(made.body.id, `set:v=${name}`);
          await vi.waitUntil(() => other.driver.slept.length === ids.length, { timeout: 20_000 });
        }
        await vi.waitUntil(() => other.driver.engine.machines.size === 2, { timeout: 10_000 });
        expect((await execute(ids[0]!, 'print:on')).body['state_lost']).toBe(true);
        const last = await execute(ids[2]!, 'get:v');
        expect([last.body['state_lost'], textOf(last)]).toEqual([false, 'c\n']);
      } finally {
        await other.stop();
      }
    },
  );

  it(
    'those sleep sooner when memory becomes scarce, whatever is being started',
    { timeout: 60_000 },
    async () => {
      const other = await startAdminApp({ SANDBOX_POOL: '1g=0', MEMORY_FLOOR_BYTES: '1g' });
      try {
        const { key: theirs } = await other.project();
        for (const name of ['a', 'b', 'c']) {
          const made = await other.ask(theirs, 'POST', '/v1/containers', { name });
          await other.ask(theirs, 'POST', `/v1/containers/${made.body.id}/executions`, { code: 'set:a=1' });
        }
        const usedBytes = 1024 ** 3;
        other.driver.faults.memory = { usedBytes, hostFreeBytes: usedBytes + 700 * 1024 ** 2 };
        vi.spyOn(other.app.get(SandboxPool), 'isStarting', 'get').mockReturnValue(true);
        await vi.waitUntil(() => other.driver.slept.length === 3, { timeout: 20_000 });
      } finally {
        await other.stop();
      }
    },
  );
});
