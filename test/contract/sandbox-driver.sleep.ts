/** What every driver does whose sandboxes can sleep. */
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { codeOf, readAll, run } from './sandbox-driver.helpers.js';
import type { Bench } from './sandbox-driver.suite.js';

export function sleepContract({ harness, driver, fresh }: Bench): void {
  const { dialect } = harness;

  describe('a sandbox that sleeps', () => {
    const infoOf = async (id: string) => (await driver().list()).find((each) => each.id === id);

    it('goes on with its variables and files where it was, as if nothing had been', async () => {
      const sandbox = await fresh({ owner: 'me' });
      await run(sandbox, `${dialect.set('kept', 42)}\n${dialect.write('/mnt/data/kept.txt', 'kept')}`);
      const { id } = sandbox;
      await driver().hibernate(id);
      expect(await infoOf(id)).toMatchObject({
        state: 'asleep',
        memoryBytes: harness.spec.memoryBytes,
        labels: { owner: 'me' },
      });
      expect((await infoOf(id))?.asleep?.bytes).toBeGreaterThan(1_000);
      expect(await driver().isAsleep(id)).toBe(true);
      const woken = await driver().attach(id);
      expect(woken.id).toBe(id);
      expect(woken.spec).toEqual({ ...harness.spec, labels: { owner: 'me' } });
      expect(await driver().isAsleep(id)).toBe(false);
      expect((await infoOf(id))?.state).toBe('running');
      const told = await run(woken, dialect.printVariable('kept'));
      expect([told.stdout, told.finished.stateLost, told.finished.files]).toEqual(['42\n', false, []]);
      expect((await readAll((await woken.getFile('/mnt/data/kept.txt')).content)).toString()).toBe('kept');
      expect(await driver().attach(id)).toBe(woken);
      await driver().destroy(id);
      await woken.closed;
    });

    it('may sleep again and again', async () => {
      let sandbox = await fresh();
      for (let turn = 1; turn <= 3; turn += 1) {
        await run(sandbox, dialect.set(`turn${turn}`, turn));
        await driver().hibernate(sandbox.id);
        sandbox = await driver().attach(sandbox.id);
      }
      const all = [1, 2, 3].map((turn) => dialect.printVariable(`turn${turn}`)).join('\n');
      expect((await run(sandbox, all)).stdout).toBe('1\n2\n3\n');
      await driver().destroy(sandbox.id);
    });

    it('falls asleep while others do', async () => {
      const several = await Promise.all([1, 2, 3, 4].map(() => fresh()));
      for (let turn = 1; turn <= 2; turn += 1) {
        await Promise.all(several.map(({ id }) => driver().hibernate(id)));
        expect(await Promise.all(several.map(({ id }) => driver().isAsleep(id)))).toEqual(
          several.map(() => true),
        );
        await Promise.all(several.map(({ id }) => driver().attach(id)));
      }
      await Promise.all(several.map(({ id }) => driver().destroy(id)));
    });

    it('is woken by another process as well', async () => {
      const earlier = harness.newDriver();
      const sandbox = await earlier.create(harness.spec);
      await run(sandbox, dialect.set('kept', 7));
      await earlier.hibernate(sandbox.id);
      await earlier.close();
      const later = harness.newDriver();
      expect((await later.list()).find(({ id }) => id === sandbox.id)?.state).toBe('asleep');
      const woken = await later.attach(sandbox.id);
      expect((await run(woken, dialect.printVariable('kept'))).stdout).toBe('7\n');
      await later.destroy(sandbox.id);
      await later.close();
    });

    it('is not put to sleep while code runs, and the code goes on', async () => {
      const sandbox = await fresh();
      const running = run(sandbox, `${dialect.sleep(1_000)}\n${dialect.print('done')}`);
      await pause(300);
      expect(await codeOf(driver().hibernate(sandbox.id))).toBe('busy');
      expect((await running).stdout).toBe('done\n');
      expect((await infoOf(sandbox.id))?.state).toBe('running');
      await expect(sandbox.ping()).resolves.toBeUndefined();
      await driver().destroy(sandbox.id);
    });

    it('may be given up, which is nothing to one that has been woken', async () => {
      const sandbox = await fresh();
      await run(sandbox, dialect.set('kept', 5));
      await driver().hibernate(sandbox.id);
      const woken = await driver().attach(sandbox.id);
      await driver().giveUpAsleep(sandbox.id);
      expect((await run(woken, dialect.printVariable('kept'))).stdout).toBe('5\n');
      await driver().hibernate(sandbox.id);
      await driver().giveUpAsleep(sandbox.id);
      await driver().giveUpAsleep(sandbox.id);
      expect(await codeOf(driver().attach(sandbox.id))).toBe('gone');
      await driver().destroy(sandbox.id);
    });

    it('is gone when it is destroyed', async () => {
      const sandbox = await fresh();
      await driver().hibernate(sandbox.id);
      await driver().destroy(sandbox.id);
      expect(await infoOf(sandbox.id)).toBeUndefined();
      expect(await driver().isAsleep(sandbox.id)).toBe(false);
      expect(await codeOf(driver().attach(sandbox.id))).toBe('gone');
      expect(await codeOf(driver().hibernate(sandbox.id))).toBe('gone');
    });
  });
}
