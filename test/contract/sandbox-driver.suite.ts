/** What every sandbox driver does. Each driver's own test file runs this against itself. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type {
  Sandbox,
  SandboxDriver,
  SandboxId,
  SandboxSpec,
} from '../../orchestrator/src/sandboxes/sandbox.driver.js';
import type { Dialect } from './sandbox-driver.dialect.js';
import { executionContract } from './sandbox-driver.executions.js';
import { fileContract } from './sandbox-driver.files.js';
import { codeOf, run } from './sandbox-driver.helpers.js';
import { sleepContract } from './sandbox-driver.sleep.js';

export interface Harness {
  /** Small enough to be filled by a test; 256 MiB of data and 40 files are expected. */
  readonly spec: SandboxSpec;
  readonly dialect: Dialect;
  /** A driver of the same installation on the same engine; each call a new one, as after a restart. */
  newDriver(): SandboxDriver;
  /** A driver of another installation on the same engine. */
  newForeignDriver(): SandboxDriver;
  /** Its sandboxes can sleep. */
  readonly canSleep: boolean;
  /** Ends a sandbox behind the driver's back. */
  killFromOutside(id: SandboxId): Promise<void>;
}

/** Sandboxes that tests share, and those that they spend. */
export interface Bench {
  readonly harness: Harness;
  readonly driver: () => SandboxDriver;
  readonly shared: () => Sandbox;
  readonly fresh: (labels?: Record<string, string>) => Promise<Sandbox>;
}

export const SPEC: SandboxSpec = { memoryBytes: 1_073_741_824, dataBytes: 268_435_456, maxFiles: 40 };

export function sandboxDriverContract(name: string, make: () => Harness): void {
  describe(`${name}`, () => {
    const harness = make();
    let driver: SandboxDriver;
    let shared: Sandbox;
    const bench: Bench = {
      harness,
      driver: () => driver,
      shared: () => shared,
      fresh: (labels = {}) => driver.create({ ...harness.spec, labels }),
    };

    beforeAll(async () => {
      driver = harness.newDriver();
      shared = await bench.fresh({ purpose: 'shared' });
      await shared.claim();
    });
    afterAll(async () => {
      for (const { id } of await driver.list()) await driver.destroy(id);
      await driver.close();
    });

    hostContract(bench);
    executionContract(bench);
    fileContract(bench);
    endContract(bench);
    takeoverContract(bench);
    if (harness.canSleep) sleepContract(bench);
  });
}

function hostContract({ harness, driver, shared, fresh }: Bench): void {
  describe('the host', () => {
    it('is found fit, and isolating', async () => {
      expect(await driver().check()).toMatchObject({ ok: true, isolation: 'gvisor', problems: [] });
    });

    it('knows how much memory there is', async () => {
      const { usedBytes, hostFreeBytes } = await driver().memory();
      expect(usedBytes).toBeGreaterThan(1_000_000);
      expect(hostFreeBytes).toBeGreaterThan(100_000_000);
    });

    it('lists what runs, with its labels', async () => {
      const before = Date.now();
      const sandbox = await fresh({ pool: 'warm', 'odd key': 'ödd, "value"' });
      const info = (await driver().list()).find(({ id }) => id === sandbox.id);
      expect(info).toMatchObject({
        state: 'running',
        memoryBytes: sandbox.spec.memoryBytes,
        labels: { pool: 'warm', 'odd key': 'ödd, "value"' },
      });
      expect(Math.abs((info?.createdAt.getTime() ?? 0) - before)).toBeLessThan(60_000);
      await driver().destroy(sandbox.id);
    });

    it('starts nothing that was given up before', async () => {
      const before = await driver().list();
      expect(await codeOf(driver().create(harness.spec, AbortSignal.abort()))).toBe('start_failed');
      expect(await driver().list()).toEqual(before);
    });

    it('answers pings', async () => {
      await expect(shared().ping()).resolves.toBeUndefined();
    });
  });
}

function endContract({ harness, driver, fresh }: Bench): void {
  const { dialect } = harness;

  describe('the end of a sandbox', () => {
    it('by destroying it leaves nothing, and may be asked for twice', async () => {
      const sandbox = await fresh();
      await driver().destroy(sandbox.id);
      await sandbox.closed;
      await driver().destroy(sandbox.id);
      expect((await driver().list()).map(({ id }) => id)).not.toContain(sandbox.id);
      expect(await codeOf(sandbox.ping())).toBe('gone');
      expect(await codeOf(sandbox.listFiles())).toBe('gone');
      expect(await codeOf(sandbox.claim())).toBe('gone');
      expect(await codeOf(sandbox.restart())).toBe('gone');
      await expect(run(sandbox, dialect.print('x'))).rejects.toMatchObject({
        code: 'gone',
        neverBegun: true,
      });
      expect(await codeOf(driver().attach(sandbox.id))).toBe('gone');
    });

    it('in the middle of an execution rejects it, and those that wait', async () => {
      const sandbox = await fresh();
      const running = codeOf(run(sandbox, `${dialect.print('on')}\n${dialect.sleep(60_000)}`));
      const waiting = codeOf(run(sandbox, dialect.print('never')));
      await harness.killFromOutside(sandbox.id);
      expect(await Promise.all([running, waiting])).toEqual(['gone', 'gone']);
      await sandbox.closed;
      await driver().destroy(sandbox.id);
    });

    it('is told, and its remains are listed as dead until they are destroyed', async () => {
      const sandbox = await fresh();
      await harness.killFromOutside(sandbox.id);
      await sandbox.closed;
      const state = async () => (await driver().list()).find(({ id }) => id === sandbox.id)?.state;
      await expect.poll(state, { timeout: 10_000 }).toBe('dead');
      await driver().destroy(sandbox.id);
      expect(await state()).toBeUndefined();
    });

    it('is no surprise for an id that never was', async () => {
      await driver().destroy('0123456789abcdef' as SandboxId);
      expect(await codeOf(driver().attach('0123456789abcdef' as SandboxId))).toBe('gone');
    });
  });
}

function takeoverContract({ harness, driver, fresh }: Bench): void {
  const { dialect } = harness;

  describe('a new process', () => {
    it('finds and takes over what runs, with variables, files and spec', async () => {
      const sandbox = await fresh({ owner: 'me' });
      await run(sandbox, `${dialect.set('kept', 42)}\n${dialect.write('/mnt/data/kept.txt', 'kept')}`);
      const later = harness.newDriver();
      const taken = await later.attach(sandbox.id);
      expect(taken.spec).toEqual({ ...harness.spec, labels: { owner: 'me' } });
      expect((await run(taken, dialect.printVariable('kept'))).stdout).toBe('42\n');
      expect((await taken.listFiles()).entries.map(({ path }) => path)).toEqual(['/mnt/data/kept.txt']);
      expect(await later.attach(sandbox.id)).toBe(taken);
      await later.destroy(sandbox.id);
      await sandbox.closed;
      await later.close();
    });

    it('interrupts what the earlier one was running', async () => {
      const earlier = harness.newDriver();
      const sandbox = await earlier.create(harness.spec);
      const running = codeOf(run(sandbox, dialect.sleep(60_000)));
      await new Promise((resolve) => setTimeout(resolve, 300));
      await earlier.close();
      expect(await running).toBe('gone');
      const later = harness.newDriver();
      const taken = await later.attach(sandbox.id);
      expect((await run(taken, dialect.print('free again'), { timeoutMs: 5_000 })).stdout).toBe(
        'free again\n',
      );
      await later.destroy(sandbox.id);
      await later.close();
    });

    it('of another installation sees and touches nothing of ours', async () => {
      const sandbox = await fresh();
      const foreign = harness.newForeignDriver();
      expect(await foreign.list()).toEqual([]);
      expect(await codeOf(foreign.attach(sandbox.id))).toBe('gone');
      await foreign.destroy(sandbox.id);
      await expect(sandbox.ping()).resolves.toBeUndefined();
      await foreign.close();
      await driver().destroy(sandbox.id);
    });
  });
}
