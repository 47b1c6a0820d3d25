import { afterEach, describe, expect, it } from 'vitest';
import { ApiError } from '../../../orchestrator/src/common/api-error.js';
import { parseEnv } from '../../../orchestrator/src/config/env.js';
import { SandboxError } from '../../../orchestrator/src/sandboxes/sandbox.driver.js';
import { SandboxPool } from '../../../orchestrator/src/sandboxes/sandbox.pool.js';
import { FakeSandboxDriver } from '../../fakes/sandboxes/fake.driver.js';

const GIB = 1024 ** 3;
const POOL = '1g=2,4g=1';

const driver = (): FakeSandboxDriver => new FakeSandboxDriver();
const poolOn = (on: FakeSandboxDriver, sizes = POOL): SandboxPool =>
  new SandboxPool(on, parseEnv({ SANDBOX_POOL: sizes, MEMORY_FLOOR_BYTES: '1g' }));

async function filled(on: FakeSandboxDriver, sizes = POOL): Promise<SandboxPool> {
  const pool = poolOn(on, sizes);
  while (await pool.refillOne());
  return pool;
}

const alive = (on: FakeSandboxDriver): number =>
  [...on.engine.machines.values()].filter((machine) => machine.alive).length;

describe('SandboxPool', () => {
  let pool: SandboxPool | undefined;
  afterEach(() => pool?.drain());

  it('is filled up to its targets, and hands out what is warm', async () => {
    const on = driver();
    pool = await filled(on);
    expect(alive(on)).toBe(3);
    const taken = await pool.acquire('1g');
    expect(on.engine.machines.has(taken.id)).toBe(true);
    expect(on.created).toHaveLength(3);
    expect(pool.state().find(({ size }) => size === '1g')).toMatchObject({ target: 2, warm: 1 });
  });

  it('starts one of a size that is not warm, and leaves the others', async () => {
    const on = driver();
    pool = await filled(on);
    await pool.acquire('16g');
    expect(on.created.at(-1)?.memoryBytes).toBe(16 * GIB);
    expect(alive(on)).toBe(4);
  });

  it('hands out none that died meanwhile', async () => {
    const on = driver();
    pool = await filled(on);
    on.faults.nextClaim = new SandboxError('gone', 'the sandbox has ended');
    const taken = await pool.acquire('1g');
    expect(on.engine.machines.get(taken.id)?.alive).toBe(true);
    expect(alive(on)).toBe(2);
  });

  it('does not refill below the floor of free memory', async () => {
    const on = driver();
    on.faults.memory = { hostFreeBytes: 1.1 * GIB };
    pool = poolOn(on);
    expect(await pool.refillOne()).toBe(false);
    expect(alive(on)).toBe(0);
  });

  it('below the floor gives up idle containers first, then warm sandboxes one by one, then refuses', async () => {
    const on = driver();
    pool = await filled(on);
    const order: string[] = [];
    let idle = 2;
    pool.setReclaimer({
      giveUpIdlest: () => {
        if (idle === 0) return Promise.resolve(false);
        idle -= 1;
        order.push(`idle, ${alive(on)} alive`);
        return Promise.resolve(true);
      },
    });
    on.faults.memory = { hostFreeBytes: GIB };
    const refusal = await pool.acquire('16g').catch((error: unknown) => error);
    expect(order).toEqual(['idle, 3 alive', 'idle, 3 alive']);
    expect(alive(on)).toBe(0);
    expect(refusal).toBeInstanceOf(ApiError);
    expect(refusal).toMatchObject({ code: 'sandbox_capacity', headers: { 'retry-after': '10' } });
    expect(on.created).toHaveLength(3);
  });

  it('gives up no more than is needed', async () => {
    const on = driver();
    pool = await filled(on);
    on.faults.memory = { hostFreeBytes: GIB };
    pool.setReclaimer({
      giveUpIdlest: () => {
        on.faults.memory = { hostFreeBytes: 8 * GIB };
        return Promise.resolve(true);
      },
    });
    await pool.acquire('16g');
    expect(alive(on)).toBe(4);
  });

  it('gives up one warm sandbox for one that is needed, and loses none', async () => {
    const on = driver();
    pool = await filled(on);
    on.faults.memory = { hostFreeBytes: GIB };
    const destroy = on.destroy.bind(on);
    on.destroy = async (id) => {
      await destroy(id);
      on.faults.memory = { hostFreeBytes: 8 * GIB };
    };
    await pool.acquire('16g');
    // Two of the three that were warm are still there and still known; the third made room.
    expect(alive(on)).toBe(3);
    expect(pool.state().reduce((sum, { warm }) => sum + warm, 0)).toBe(2);
  });

  it('tells a client to come back when the engine cannot start one', async () => {
    const on = driver();
    pool = poolOn(on, '1g=0');
    on.faults.nextCreate = new SandboxError('engine_unavailable', 'the engine does not answer');
    await expect(pool.acquire('1g')).rejects.toMatchObject({ code: 'sandbox_capacity' });
    await expect(pool.acquire('1g')).resolves.toBeDefined();
  });

  it('keeps none warm while it is drained', async () => {
    const on = driver();
    pool = await filled(on);
    await pool.drain();
    expect(alive(on)).toBe(0);
    expect(await pool.refillOne()).toBe(false);
    pool.resume();
    expect(await pool.refillOne()).toBe(true);
  });
});
