import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { cgroupDirectories, parseProcessCgroup } from '../../orchestrator/src/sandboxes/docker/cgroup.js';
import { engineIsSkipped, TestInstallation } from '../fakes/sandboxes/real-engine.js';
import { python } from './sandbox-driver.dialect.js';
import { codeOf, readAll, run } from './sandbox-driver.helpers.js';
import { sandboxDriverContract, SPEC } from './sandbox-driver.suite.js';

describe.skipIf(engineIsSkipped)('Docker and gVisor', () => {
  const here = new TestInstallation('contract');
  const elsewhere = new TestInstallation('contract-elsewhere');

  // On a newer gVisor sandbox-driver.clones.test.ts runs it.
  const contract = process.env['TEST_OLDER_GVISOR'] === undefined ? () => undefined : sandboxDriverContract;
  contract('the Docker driver', () => ({
    spec: SPEC,
    dialect: python,
    canSleep: false,
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

    it.each([0, 300, 900])('leaves nothing when it was given up after %i ms', async (ms) => {
      // A start with imports takes more than two seconds.
      const driver = failed.newDriver({ preload: ['numpy', 'pandas', 'matplotlib.pyplot'] });
      const giveUp = new AbortController();
      const attempt = codeOf(driver.create(SPEC, giveUp.signal));
      await sleep(ms);
      giveUp.abort();
      expect(await attempt).toBe('start_failed');
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

  it('has imported what was asked for, and nothing else', async () => {
    const driver = here.newDriver({ preload: ['json.tool', 'numpy'] });
    const sandbox = await driver.create(SPEC);
    const code = `import sys; [name in sys.modules for name in ('json.tool', 'numpy', 'pandas')]`;
    expect((await run(sandbox, code)).result).toBe('[True, True, False]');
    await driver.destroy(sandbox.id);
    await driver.close();
  });

  // A containerd that is killed while it starts or removes a container leaves such cgroups.
  it('gives up cgroups that belong to no container, and no other', async () => {
    const driver = here.newDriver();
    const sandbox = await driver.create(SPEC);
    const found = here.docker(
      'inspect',
      '--format',
      '{{.State.Pid}} {{.Id}}',
      here.containerName(sandbox.id),
    );
    const [pid = '', engineId = ''] = found.trim().split(' ');
    const place = parseProcessCgroup(readFileSync(`/proc/${pid}/cgroup`, 'utf8'));
    const own = cgroupDirectories(readFileSync('/proc/self/mountinfo', 'utf8'), place!);
    expect(own.every((directory) => basename(directory) === engineId)).toBe(true);
    const left = own.filter(existsSync).map((directory) => join(dirname(directory), 'f'.repeat(64)));
    expect(left).not.toEqual([]);
    for (const directory of left) mkdirSync(directory);
    await driver.list();
    expect(left.filter(existsSync)).toEqual([]);
    expect((await run(sandbox, '6 * 7')).result).toBe('42');
    await driver.destroy(sandbox.id);
    await driver.close();
  });

  // Long, and no other on an older gVisor.
  describe.skipIf(process.env['TEST_OLDER_GVISOR'])('thousands of files', () => {
    it.each([5_000, 10_000])(
      '%i of one execution are all told, and copied',
      { timeout: 300_000 },
      async (count) => {
        const driver = here.newDriver();
        const sandbox = await driver.create({ ...SPEC, maxFiles: 10_100 });
        await sandbox.claim();
        const { finished } = await run(
          sandbox,
          `for i in range(${count}):\n    with open(f'/mnt/data/a-name-of-some-length-{i}', 'w') as f: _ = f.write(str(i))`,
          { timeoutMs: 120_000 },
        );
        expect([finished.status, finished.files.length, finished.filesTruncated]).toEqual([
          'completed',
          count,
          false,
        ]);
        let right = 0;
        for await (const file of sandbox.getFiles(finished.files.map(({ path }) => path))) {
          if ('error' in file) throw file.error;
          if (file.path.endsWith(`-${(await readAll(file.content)).toString()}`)) right += 1;
        }
        expect(right).toBe(count);
        await driver.destroy(sandbox.id);
        await driver.close();
      },
    );
  });

  it('copies sparse and linked files for what they hold', { timeout: 120_000 }, async () => {
    const driver = here.newDriver();
    const sandbox = await driver.create(SPEC);
    await sandbox.claim();
    const { finished } = await run(
      sandbox,
      [
        'import os',
        "with open('/mnt/data/sparse', 'wb') as f: _ = f.truncate(200_000_000), f.seek(150_000_000), f.write(b'here')",
        "with open('/mnt/data/one', 'wb') as f: _ = f.write(os.urandom(50_000))",
        "os.link('/mnt/data/one', '/mnt/data/two')",
      ].join('\n'),
    );
    const [one, sparse, two] = finished.files;
    expect(one?.identity).toBeDefined();
    expect(two?.identity).toBe(one?.identity);
    expect(sparse?.identity).toBeUndefined();
    expect(sparse?.bytes).toBe(200_000_000);
    expect(sparse?.storedBytes).toBeLessThan(1_000_000);
    expect(finished.dataUsedBytes).toBeLessThan(1_000_000);
    const { content } = await sandbox.getFile('/mnt/data/sparse');
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of content as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      hash.update(chunk);
    }
    const expected = createHash('sha256').update(Buffer.alloc(150_000_000)).update('here');
    expect(bytes).toBe(200_000_000);
    expect(hash.digest('hex')).toBe(expected.update(Buffer.alloc(49_999_996)).digest('hex'));
    await driver.destroy(sandbox.id);
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
