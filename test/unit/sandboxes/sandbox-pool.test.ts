import { Logger } from '@nestjs/common';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { ApiError } from '../../../orchestrator/src/common/api-error.js';
import { parseEnv } from '../../../orchestrator/src/config/env.js';
import { WARM_BYTES } from '../../../orchestrator/src/sandboxes/memory-admission.js';
import type { Reclaimer } from '../../../orchestrator/src/sandboxes/reclaimer.js';
import { type SandboxId, SandboxError } from '../../../orchestrator/src/sandboxes/sandbox.driver.js';
import { SandboxPool } from '../../../orchestrator/src/sandboxes/sandbox.pool.js';
import { FakeSandboxDriver } from '../../fakes/sandboxes/fake.driver.js';

Logger.overrideLogger(false);

const GIB = 1024 ** 3;
const POOL = '1g=2,4g=1';
const NO_POOL = '1g=0';

const driver = (): FakeSandboxDriver => new FakeSandboxDriver();
/** By default there is nothing to give up. */
const NOTHING: Reclaimer = { giveUpIdlest: () => Promise.resolve(false) };
const poolOn = (on: FakeSandboxDriver, sizes = POOL, env = {}, reclaimer = NOTHING): SandboxPool => {
  const settings = parseEnv({ SANDBOX_POOL: sizes, MEMORY_FLOOR_BYTES: '1g', ...env });
  const pool = new SandboxPool(on, reclaimer, settings);
  onTestFinished(() => pool.beforeApplicationShutdown());
  return pool;
};

async function filled(on: FakeSandboxDriver, sizes = POOL, reclaimer = NOTHING): Promise<SandboxPool> {
  const pool = poolOn(on, sizes, {}, reclaimer);
  pool.refill();
  await pool.settled();
  return pool;
}

const alive = (on: FakeSandboxDriver): number =>
  [...on.engine.machines.values()].filter((machine) => machine.alive).length;
const warm = (pool: SandboxPool): number => pool.state().reduce((sum, each) => sum + each.warm, 0);
const refusalOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'not refused',
    (error: unknown) => error,
  );

/** A host with room for this many sandboxes above the floor; each takes what a fresh one takes. */
function hostWithRoomFor(on: FakeSandboxDriver, count: number): void {
  on.memory = () =>
    Promise.resolve({
      usedBytes: alive(on) * WARM_BYTES,
      hostFreeBytes: GIB + (count - alive(on)) * WARM_BYTES,
    });
}

/** Creates that end when the test says so, in the order in which they were asked for. */
function heldStarts(on: FakeSandboxDriver): (() => void)[] {
  const doors: (() => void)[] = [];
  const create = on.create.bind(on);
  on.create = async (spec) => {
    await new Promise<void>((resolve) => doors.push(resolve));
    return create(spec);
  };
  return doors;
}

/** The engine is away: whatever is asked of it fails. */
function engineAway(on: FakeSandboxDriver): () => void {
  const { create, destroy } = on;
  const away = () => Promise.reject(new SandboxError('engine_unavailable', 'the engine does not answer'));
  Object.assign(on, { create: away, destroy: away });
  return () => Object.assign(on, { create, destroy });
}

describe('SandboxPool', () => {
  it('is filled up to its targets, and hands out what is warm', async () => {
    const on = driver();
    const pool = await filled(on);
    expect(alive(on)).toBe(3);
    const taken = await pool.acquire('1g', 'project');
    expect(on.engine.machines.has(taken.id)).toBe(true);
    const state = () => pool.state().find(({ size }) => size === '1g');
    // Not beside the code that is run now.
    expect(state()).toMatchObject({ target: 2, warm: 1, starting: 0 });
    await vi.waitUntil(() => state()?.warm === 2, { timeout: 5_000 });
    expect(on.created).toHaveLength(4);
  });

  it('puts the refill off until nobody takes one any more, but not for long', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    try {
      const on = driver();
      const pool = await filled(on, '1g=9');
      const takeEvery = async (ms: number, times: number) => {
        for (let take = 0; take < times; take += 1) {
          await pool.acquire('1g', 'project');
          await vi.advanceTimersByTimeAsync(ms);
        }
      };
      await takeEvery(200, 3);
      expect(on.created).toHaveLength(9);
      await vi.advanceTimersByTimeAsync(100);
      await pool.settled();
      expect(on.created).toHaveLength(12);
      await takeEvery(250, 7);
      await pool.settled();
      expect(on.created.length).toBeGreaterThan(12);
    } finally {
      vi.useRealTimers();
    }
  });

  it('starts one of a size that is not warm, and leaves the others', async () => {
    const on = driver();
    const pool = await filled(on);
    await pool.acquire('16g', 'project');
    expect(on.created.at(-1)?.memoryBytes).toBe(16 * GIB);
    expect(alive(on)).toBe(4);
  });

  it('keeps one of a size that was used, for an hour, unless the operator wants none', async () => {
    const on = driver();
    const pool = await filled(on, '1g=1');
    const spares = (size: string) => pool.state().find((each) => each.size === size);
    await pool.acquire('64g', 'project');
    pool.refill();
    await pool.settled();
    expect(spares('64g')).toMatchObject({ target: 1, warm: 1 });
    expect(alive(on)).toBe(3);
    const none = poolOn(on, NO_POOL);
    await on.destroy((await none.acquire('4g', 'project')).id);
    none.refill();
    expect(none.state()).toMatchObject(Array(4).fill({ target: 0, starting: 0 }));
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_001 });
    try {
      pool.refill();
      await pool.settled();
      expect(spares('64g')).toMatchObject({ target: 0, warm: 0 });
      expect([spares('1g')?.warm, alive(on)]).toEqual([1, 2]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('refuses whoever has waited as long as a request may', async () => {
    const on = driver();
    const doors = heldStarts(on);
    const pool = poolOn(on, NO_POOL, { SANDBOX_QUEUE_MS: '1000', SANDBOX_PARALLEL_STARTS: '1' });
    const refused = await refusalOf(pool.acquire('1g', 'project'));
    expect(refused).toMatchObject({ status: 503, headers: { 'retry-after': '10' } });
    for (const open of doors) open();
  });

  it('keeps none that does not take its limits', async () => {
    const on = driver();
    on.faults.nextClaim = new SandboxError('gone', 'the sandbox has ended');
    const pool = await filled(on, '1g=2');
    expect(warm(pool)).toBeLessThan(2);
    pool.refill();
    await pool.settled();
    expect(warm(pool)).toBe(2);
    expect(alive(on)).toBe(2);
    expect(on.created).toHaveLength(3);
  });

  it('keeps none warm while it is drained', async () => {
    const on = driver();
    const pool = await filled(on);
    await pool.drain();
    expect(alive(on)).toBe(0);
    pool.refill();
    await pool.settled();
    expect(alive(on)).toBe(0);
    pool.resume();
    await pool.settled();
    expect(warm(pool)).toBe(3);
  });

  it('starts those that somebody waits for before spares', async () => {
    const on = driver();
    const doors = heldStarts(on);
    const pool = poolOn(on, '1g=3,4g=3');
    pool.refill();
    await vi.waitFor(() => expect(doors).toHaveLength(2));
    const taken = pool.acquire('64g', 'project');
    doors.shift()!();
    await vi.waitFor(() => expect(doors).toHaveLength(2));
    doors.pop()!();
    expect((await taken).spec.memoryBytes).toBe(64 * GIB);
    expect(on.created.map(({ memoryBytes }) => memoryBytes / GIB)).toEqual([1, 64]);
    Object.assign(doors, { push: (open: () => void) => open() });
    for (const open of doors) open();
  });

  it('gives whoever waits the first that is ready, whatever it was started for', async () => {
    const on = driver();
    const doors = heldStarts(on);
    const pool = poolOn(on, '1g=2');
    pool.refill();
    await vi.waitFor(() => expect(doors).toHaveLength(2));
    const taken = pool.acquire('1g', 'project');
    doors[1]!();
    await taken;
    expect(on.created).toHaveLength(1);
    Object.assign(doors, { push: (open: () => void) => open() });
    for (const open of doors) open();
  });

  it('gives up what is being started when it is stopped', async () => {
    const on = driver();
    on.faults.delayNextCreate = 60_000;
    const pool = poolOn(on, NO_POOL);
    const waiting = refusalOf(pool.acquire('1g', 'project'));
    await vi.waitFor(() => expect(on.created).toHaveLength(1));
    const stopped = pool.beforeApplicationShutdown();
    expect(await waiting).toMatchObject({ code: 'sandbox_capacity' });
    await stopped;
    await pool.settled();
    expect(alive(on)).toBe(0);
  });

  it('starts nothing after it was stopped, and refuses who waits', async () => {
    const on = driver();
    const doors = heldStarts(on);
    const pool = poolOn(on, NO_POOL);
    const waiting = refusalOf(pool.acquire('1g', 'project'));
    await vi.waitFor(() => expect(doors).toHaveLength(1));
    const stopped = pool.beforeApplicationShutdown();
    doors[0]!();
    await stopped;
    expect(await waiting).toMatchObject({ code: 'sandbox_capacity' });
    expect(alive(on)).toBe(0);
    expect(await refusalOf(pool.acquire('1g', 'project'))).toMatchObject({ code: 'sandbox_capacity' });
  });
});

describe('when memory is short, the pool', () => {
  it('does not refill below the floor', async () => {
    const on = driver();
    on.faults.memory = { hostFreeBytes: 1.1 * GIB };
    expect(warm(await filled(on))).toBe(0);
    expect(alive(on)).toBe(0);
  });

  it('starts no more than fit, however many ask at once', async () => {
    const on = driver();
    hostWithRoomFor(on, 1);
    const pool = poolOn(on, NO_POOL, { SANDBOX_PARALLEL_STARTS: '8' });
    const all = await Promise.allSettled(Array.from({ length: 64 }, () => pool.acquire('1g', 'project')));
    expect(on.created).toHaveLength(1);
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const each of all) {
      if (each.status === 'rejected') expect(each.reason).toMatchObject({ code: 'sandbox_capacity' });
    }
  });

  it('gives up spares first, then idle containers, and refuses when none is left', async () => {
    const on = driver();
    const order: string[] = [];
    let idle = 2;
    const pool = await filled(on, POOL, {
      giveUpIdlest: () => {
        if (idle === 0) return Promise.resolve(false);
        idle -= 1;
        order.push(`idle, ${alive(on)} alive`);
        return Promise.resolve(true);
      },
    });
    on.faults.memory = { hostFreeBytes: GIB, usedBytes: 4 * GIB };
    const refusal = await refusalOf(pool.acquire('16g', 'project'));
    expect(order).toEqual(['idle, 0 alive', 'idle, 0 alive']);
    expect(refusal).toBeInstanceOf(ApiError);
    expect(refusal).toMatchObject({ code: 'sandbox_capacity', headers: { 'retry-after': '10' } });
    expect(on.created).toHaveLength(3);
  });

  it('gives up no more than is needed', async () => {
    const on = driver();
    const pool = await filled(on);
    hostWithRoomFor(on, 3);
    await pool.acquire('16g', 'project');
    // Two of the three that were warm are still there and still known; the third made room.
    expect(alive(on)).toBe(3);
    expect(warm(pool)).toBe(2);
  });

  it('leaves recent containers alone', async () => {
    const on = driver();
    const asked: number[] = [];
    const pool = poolOn(
      on,
      NO_POOL,
      {},
      {
        giveUpIdlest: (minIdleMs) => Promise.resolve(asked.push(minIdleMs) < 0),
      },
    );
    on.faults.memory = { hostFreeBytes: GIB, usedBytes: 4 * GIB };
    await refusalOf(pool.acquire('1g', 'project'));
    expect(asked).toEqual([10_000]);
  });

  it('takes nobody’s variables when somebody else has the memory', async () => {
    const on = driver();
    const giveUpIdlest = vi.fn<(minIdleMs: number) => Promise<boolean>>(() => Promise.resolve(true));
    const pool = poolOn(on, NO_POOL, {}, { giveUpIdlest });
    on.faults.memory = { hostFreeBytes: 0.2 * GIB, usedBytes: 0.5 * GIB };
    expect(await refusalOf(pool.acquire('1g', 'project'))).toMatchObject({ code: 'sandbox_capacity' });
    await pool.watchMemory();
    expect(giveUpIdlest).not.toHaveBeenCalled();
  });

  it('gives up one at a time while code that runs takes it', async () => {
    const on = driver();
    const giveUpIdlest = vi.fn<(minIdleMs: number) => Promise<boolean>>(() => Promise.resolve(true));
    const pool = await filled(on, POOL, { giveUpIdlest });
    on.faults.memory = { hostFreeBytes: 0.9 * GIB, usedBytes: 4 * GIB };
    await pool.watchMemory();
    expect([warm(pool), giveUpIdlest.mock.calls.length]).toEqual([2, 0]);
    await pool.watchMemory();
    await pool.watchMemory();
    await pool.watchMemory();
    expect([warm(pool), giveUpIdlest.mock.calls.length]).toEqual([0, 1]);
    on.faults.memory = { hostFreeBytes: 2 * GIB, usedBytes: 4 * GIB };
    await pool.watchMemory();
    expect(giveUpIdlest).toHaveBeenCalledTimes(1);
  });
});

describe('when the engine goes away, the pool', () => {
  afterEach(() => vi.useRealTimers());

  it('outlives warm sandboxes that end and cannot be removed', async () => {
    const lost = vi.fn<(reason: unknown) => void>();
    process.on('unhandledRejection', lost);
    onTestFinished(() => void process.off('unhandledRejection', lost));
    const on = driver();
    const pool = await filled(on);
    const back = engineAway(on);
    for (const id of [...on.engine.machines.keys()]) on.engine.kill(id);
    await nextTurn();
    await pool.settled();
    await nextTurn();
    expect(lost).not.toHaveBeenCalled();
    expect(warm(pool)).toBe(0);
    // None is claimed any more, so the sweep removes what is left of them.
    expect(pool.ownIds().size).toBe(0);
    await pool.drain();
    back();
  });

  it('waits for it to come back', async () => {
    vi.useFakeTimers();
    const on = driver();
    const pool = poolOn(on, NO_POOL);
    const back = engineAway(on);
    const taken = pool.acquire('1g', 'project');
    await vi.advanceTimersByTimeAsync(5_000);
    back();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(on.engine.machines.has((await taken).id as SandboxId)).toBe(true);
  });

  it('tells clients to come back when it stays away, at once when it has been away for long', async () => {
    vi.useFakeTimers();
    const on = driver();
    const pool = poolOn(on, NO_POOL);
    engineAway(on);
    const first = refusalOf(pool.acquire('1g', 'project'));
    await vi.advanceTimersByTimeAsync(25_000);
    expect(await first).toMatchObject({ code: 'sandbox_capacity', headers: { 'retry-after': '10' } });
    const second = refusalOf(pool.acquire('1g', 'project'));
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await second).toMatchObject({ code: 'sandbox_capacity' });
  });

  it('refuses at once what the engine refuses to start', async () => {
    const on = driver();
    const pool = poolOn(on, NO_POOL);
    on.faults.nextCreate = new SandboxError('start_failed', 'no such image');
    expect(await refusalOf(pool.acquire('1g', 'project'))).toMatchObject({ code: 'sandbox_capacity' });
    await expect(pool.acquire('1g', 'project')).resolves.toBeDefined();
  });

  it('lets nobody wait for longer than four starts may take', async () => {
    vi.useFakeTimers();
    const on = driver();
    const doors = heldStarts(on);
    const pool = poolOn(on, NO_POOL, { SANDBOX_PARALLEL_STARTS: '1' });
    const waiting = [refusalOf(pool.acquire('1g', 'project')), refusalOf(pool.acquire('4g', 'project'))];
    await vi.advanceTimersByTimeAsync(241_000);
    for (const refusal of await Promise.all(waiting)) {
      expect(refusal).toMatchObject({ code: 'sandbox_capacity' });
    }
    // What becomes ready for nobody is not kept.
    doors[0]!();
    await pool.settled();
    expect(alive(on)).toBe(0);
  });
});
