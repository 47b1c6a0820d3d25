/** The same contract for sandboxes that are made from the image of a warm one, and what only they can get wrong. */
import { randomBytes, randomFillSync } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { processesOf } from '../../orchestrator/src/sandboxes/docker/leftover-processes.js';
import type { Sandbox } from '../../orchestrator/src/sandboxes/sandbox.driver.js';
import { engineIsSkipped, TestInstallation } from '../fakes/sandboxes/real-engine.js';
import { python } from './sandbox-driver.dialect.js';
import { run } from './sandbox-driver.helpers.js';
import { sandboxDriverContract, SPEC } from './sandbox-driver.suite.js';

const MIB = 1_048_576;

/** Debian's gVisor makes no clones. */
const skipped = engineIsSkipped || process.env['TEST_OLDER_GVISOR'] !== undefined;

describe.skipIf(skipped)('clones', () => {
  const folder = mkdtempSync(join(tmpdir(), 'templates-'));
  const templates = { dir: join(folder, 'kept'), dataBytes: SPEC.dataBytes };
  const hibernation = {
    dir: join(folder, 'asleep'),
    key: randomBytes(32),
    mostBytes: 1_024 * MIB,
    floorBytes: 0,
  };
  const here = new TestInstallation('clones', { templates, hibernation });
  const elsewhere = new TestInstallation('clones-elsewhere', { templates });

  afterAll(() => {
    here.remove();
    elsewhere.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  sandboxDriverContract('the Docker driver, with clones', () => ({
    spec: SPEC,
    dialect: python,
    canSleep: true,
    newDriver: () => here.newDriver(),
    newForeignDriver: () => elsewhere.newDriver({ channelDir: here.channelDir }),
    killFromOutside: async (id) => void here.docker('kill', here.containerName(id)),
  }));

  /** How each sandbox since then was started, from the log. */
  function starts(): readonly string[] {
    return here.logs.splice(0).flatMap((line) => {
      if (line.startsWith('sandbox started')) return line.includes('"clone":true') ? 'clone' : 'from nothing';
      return /does not serve|no clones|did not start/.exec(line)?.[0] ?? [];
    });
  }

  it('are made from the template that was kept', async () => {
    starts();
    const driver = here.newDriver();
    const sandbox = await driver.create(SPEC);
    expect(starts()).toEqual(['clone', 'clone', 'clone']);
    await driver.destroy(sandbox.id);
    await driver.close();
  });

  it('of any size have the memory and the limits of that size, not of the template', async () => {
    const driver = here.newDriver();
    for (const mebibytes of [256, 2_048]) {
      const sandbox = await driver.create({ ...SPEC, memoryBytes: mebibytes * MIB });
      await sandbox.claim();
      const seen = await run(sandbox, `open('/proc/meminfo').readline().split()[1]`);
      expect(seen.result).toBe(`'${(mebibytes + 256) * 1_024}'`);
      const taken = await run(sandbox, `kept = bytearray(${mebibytes + 64} * 1024 * 1024)`);
      expect(taken.finished.status).toBe('out_of_memory');
      expect((await run(sandbox, '6 * 7')).result).toBe('42');
      await driver.destroy(sandbox.id);
    }
    await driver.close();
  });

  it('know no file of the template, and are told their first one', async () => {
    const driver = here.newDriver();
    const sandbox = await driver.create(SPEC);
    await sandbox.claim();
    expect((await sandbox.listFiles()).entries).toEqual([]);
    const { finished } = await run(sandbox, python.write('/mnt/data/first.txt', 'first'));
    expect(finished.files).toMatchObject([{ path: '/mnt/data/first.txt', bytes: 5, change: 'created' }]);
    await driver.destroy(sandbox.id);
    await driver.close();
  });

  it('look to their code as a sandbox that started from nothing does', async () => {
    const code = `
import os, sys, threading
print(sorted(os.environ.items()), len(In), len(Out), get_ipython().execution_count, os.getcwd(), os.umask(0o022),
      sorted(name for name in globals() if not name.startswith('_')), threading.active_count(), sys.path, os.getpid() > 1,
      sorted(os.listdir('/proc/self/fd')), os.uname().nodename, open('/proc/self/cgroup').read(), os.sched_getaffinity(0))
`;
    const seen: string[] = [];
    for (const changes of [{}, { templates: { ...templates, dataBytes: 1 } }]) {
      const driver = here.newDriver(changes);
      const sandbox = await driver.create(SPEC);
      await sandbox.claim(true);
      const told = await run(sandbox, code);
      seen.push(`${told.stdout}${told.stderr}${told.error?.value ?? ''}`);
      await driver.destroy(sandbox.id);
      await driver.close();
    }
    expect(seen[0]).toBe(seen[1]);
  });

  it('end with their gofer, as soon as somebody connects to them', async () => {
    const driver = here.newDriver();
    const sandbox = await driver.create(SPEC);
    await sandbox.claim();
    const gofers = (await processesOf(await here.engineId(sandbox.id))).filter((pid) =>
      readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('runsc-gofer'),
    );
    for (const pid of gofers) process.kill(pid, 'SIGKILL');
    expect(gofers).toHaveLength(1);
    await expect(sandbox.getFile('/mnt/data/any.txt')).rejects.toMatchObject({ code: 'gone' });
    await sandbox.closed;
    await driver.destroy(sandbox.id);
    await driver.close();
  });

  it('fifty of them share no random number', { timeout: 240_000 }, async () => {
    const driver = here.newDriver({ preload: ['numpy', 'ssl', 'tempfile', 'uuid', 'secrets'] });
    const code = `
import random, numpy, uuid, secrets, ssl, tempfile, os, json
print(json.dumps([random.random(), numpy.random.random(), numpy.random.default_rng().random(), str(uuid.uuid4()),
    uuid.uuid1().node, secrets.token_hex(), ssl.RAND_bytes(8).hex(), os.path.basename(tempfile.mktemp()), os.urandom(8).hex()]))
`;
    const values: unknown[] = [];
    const one = async () => {
      for (let n = 0; n < 25; n += 1) {
        const sandbox: Sandbox = await driver.create(SPEC);
        await sandbox.claim();
        values.push(...(JSON.parse((await run(sandbox, code)).stdout) as unknown[]));
        await driver.destroy(sandbox.id);
      }
    };
    await Promise.all([one(), one()]);
    expect(values).toHaveLength(450);
    expect(values.filter((value, index) => values.indexOf(value) !== index)).toEqual([]);
    await driver.close();
  });

  describe('of a template that is no good', () => {
    const broken = mkdtempSync(join(tmpdir(), 'templates-'));
    afterAll(() => rmSync(broken, { recursive: true, force: true }));

    it.each([
      ['checkpoint.img', (bytes: Buffer) => randomFillSync(bytes)],
      ['pages.img', (bytes: Buffer) => randomFillSync(bytes)],
      ['pages_meta.img', (bytes: Buffer) => bytes.fill(0)],
    ])('are none: %s is wrong, and another is made', { timeout: 120_000 }, async (name, spoil) => {
      const fresh = { templates: { ...templates, dir: broken } };
      const first = here.newDriver(fresh);
      await first.destroy((await first.create(SPEC)).id);
      await first.close();
      const [key = ''] = readdirSync(broken);
      const path = join(broken, key, name);
      writeFileSync(path, spoil(readFileSync(path)));
      starts();
      const driver = here.newDriver(fresh);
      const sandbox = await driver.create(SPEC);
      const seen = starts();
      expect(seen).toContain('does not serve');
      expect(seen.slice(-4)).toEqual(['from nothing', 'clone', 'clone', 'clone']);
      expect((await run(sandbox, '6 * 7')).result).toBe('42');
      await driver.destroy(sandbox.id);
      await driver.close();
    });
  });

  it('leave no container and no folder', async () => {
    expect(await here.leftovers()).toEqual([]);
    expect(await elsewhere.leftovers()).toEqual([]);
  });
});
