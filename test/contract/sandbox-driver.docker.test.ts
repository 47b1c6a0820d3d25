import { afterAll, describe, expect, it } from 'vitest';
import { engineIsSkipped, TestInstallation } from '../fakes/sandboxes/real-engine.js';
import { python } from './sandbox-driver.dialect.js';
import { codeOf, run } from './sandbox-driver.helpers.js';
import { sandboxDriverContract, SPEC } from './sandbox-driver.suite.js';

describe.skipIf(engineIsSkipped)('Docker and gVisor', () => {
  const here = new TestInstallation('contract');
  const elsewhere = new TestInstallation('contract-elsewhere');

  sandboxDriverContract('the Docker driver', () => ({
    spec: SPEC,
    dialect: python,
    newDriver: () => here.newDriver(),
    newForeignDriver: () => elsewhere.newDriver({ channelDir: here.channelDir }),
    killFromOutside: async (id) => void here.docker('kill', here.containerName(id)),
  }));

  describe('a start that fails', () => {
    const failed = new TestInstallation('contract-failed');
    const spec = { memoryBytes: 268_435_456, dataBytes: 16_777_216, maxFiles: 10 };

    it.each([
      ['there is no such image', { image: 'there-is-no-such-image:1' }, 'start_failed', 'npm run setup'],
      ['there is no such runtime', { runtime: 'no-such-runtime' }, 'start_failed', 'no-such-runtime'],
      [
        'there is no engine',
        { dockerHost: 'unix:///nowhere/docker.sock' },
        'engine_unavailable',
        'cannot be reached',
      ],
      ['there is no time', { startTimeoutMs: 5 }, 'start_failed', 'in time'],
      ['the runtime does not isolate', { runtime: 'runc' }, 'start_failed', 'not gVisor'],
    ] as const)('says why and leaves nothing when %s', async (_, changes, code, words) => {
      const driver = failed.newDriver(changes);
      const attempt = driver.create(spec);
      expect(await codeOf(attempt)).toBe(code);
      await expect(attempt).rejects.toThrow(words);
      await driver.close();
      expect(await failed.leftovers()).toEqual([]);
    });

    it('says what the supervisor said last', async () => {
      // Too little memory to import anything.
      const driver = failed.newDriver({ headroomBytes: 0, startTimeoutMs: 20_000 });
      const attempt = driver.create({ ...spec, memoryBytes: 41_943_040 });
      await expect(attempt).rejects.toMatchObject({ code: 'start_failed' });
      expect(await failed.leftovers()).toEqual([]);
      await driver.close();
    });

    afterAll(() => failed.remove());
  });

  // The exits of its processes and the engine's order to kill once crossed, in one case of three,
  // which took a second for each process.
  it('removes a sandbox of many processes as quickly as any', { timeout: 180_000 }, async () => {
    const driver = here.newDriver();
    for (let n = 0; n < 4; n += 1) {
      const sandbox = await driver.create({ ...SPEC, memoryBytes: 1_073_741_824 });
      await sandbox.claim();
      const told = await run(
        sandbox,
        `import subprocess\nmany = [subprocess.Popen(['sleep', '1000']) for _ in range(60)]\nlen(many)`,
      );
      expect(told.result).toBe('60');
      const beganAt = performance.now();
      await driver.destroy(sandbox.id);
      expect(performance.now() - beganAt).toBeLessThan(20_000);
    }
    await driver.close();
  });

  it('leaves no container and no folder', async () => {
    expect(await here.leftovers()).toEqual([]);
    expect(await elsewhere.leftovers()).toEqual([]);
  });

  afterAll(() => {
    here.remove();
    elsewhere.remove();
  });
});
