/** Sleeping sandboxes of the Docker driver: what is on the disk, and what becomes of it. */
import { randomBytes } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import type { DockerSandboxDriver } from '../../orchestrator/src/sandboxes/docker/docker.driver.js';
import { Sleepers } from '../../orchestrator/src/sandboxes/docker/sleepers.js';
import { SupervisorClient } from '../../orchestrator/src/sandboxes/docker/supervisor-client.js';
import type { Sandbox } from '../../orchestrator/src/sandboxes/sandbox.driver.js';
import { engineIsSkipped, TEMPLATE_DIR, TestInstallation } from '../fakes/sandboxes/real-engine.js';
import { codeOf, run } from './sandbox-driver.helpers.js';
import { SPEC } from './sandbox-driver.suite.js';

const MIB = 1_048_576;

/** Debian's gVisor makes no checkpoints that we could use. */
const skipped = engineIsSkipped || process.env['TEST_OLDER_GVISOR'] !== undefined;

describe.skipIf(skipped)('sleeping sandboxes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'asleep-'));
  const dir = join(folder, 'asleep');
  const hibernation = { dir, key: randomBytes(32), mostBytes: 1_024 * MIB, floorBytes: 0 };
  const here = new TestInstallation('sleepers', {
    templates: { dir: TEMPLATE_DIR, dataBytes: SPEC.dataBytes },
    hibernation,
  });
  const drivers: DockerSandboxDriver[] = [];
  const newDriver = (changes = {}) => {
    const driver = here.newDriver(changes);
    drivers.push(driver);
    return driver;
  };

  afterEach(async () => {
    const last = newDriver();
    for (const { id } of await last.list()) await last.destroy(id);
    for (const driver of drivers.splice(0)) await driver.close();
  });
  afterAll(() => {
    here.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A new one that has run this. */
  async function awake(code: string, driver = newDriver()): Promise<[DockerSandboxDriver, Sandbox]> {
    const sandbox = await driver.create(SPEC);
    await sandbox.claim();
    expect((await run(sandbox, code)).error).toBeUndefined();
    return [driver, sandbox];
  }

  const asleep = () => (existsSync(dir) ? readdirSync(dir).filter((name) => !name.endsWith('.base')) : []);
  const fileOf = ({ id }: Sandbox) => join(dir, `${id}.sleep`);

  it('go on to the letter: generators, open files, threads, functions, clocks', async () => {
    const [driver, { id }] = await awake(`
import random, threading, time, numpy, os
random.seed(5); numpy.random.seed(5)
first = [random.random(), numpy.random.random()]
def squares():
    n = 0
    while True:
        yield n * n
        n += 1
numbers = squares(); [next(numbers) for _ in range(7)]
file = open('/mnt/data/log.txt', 'w'); _ = file.write('before ')
ticks = 0
def tick():
    global ticks
    while True:
        time.sleep(0.01); ticks += 1
threading.Thread(target=tick, daemon=True).start()
os.environ['MINE'] = 'kept'
`);
    await driver.hibernate(id);
    const woken = await driver.attach(id);
    const told = await run(
      woken,
      `
known = random.Random(5); known.random()
old = ticks; time.sleep(0.2)
_ = file.write('after'); file.close()
print(random.random() == known.random(), next(numbers), ticks > old, os.environ['MINE'], open('/mnt/data/log.txt').read(),
      numpy.random.random() == numpy.random.RandomState(5).random_sample(2)[1], abs(time.time() - ${Date.now() / 1_000}) < 10)
`,
    );
    expect([told.error, told.stdout]).toEqual([undefined, 'True 49 True kept before after True True\n']);
    expect(told.finished.files).toMatchObject([{ path: '/mnt/data/log.txt', change: 'modified' }]);
  });

  it('take little, and hold nothing that could be read', async () => {
    const secret = 'a-secret-that-nobody-else-may-read';
    const [driver, sandbox] = await awake(
      `secret = 'a-secret-that-' + 'nobody-else-may-read'\nopen('/mnt/data/s', 'w').write(secret)`,
    );
    await driver.hibernate(sandbox.id);
    const content = readFileSync(fileOf(sandbox));
    expect(content.includes(secret)).toBe(false);
    expect(content.length).toBeLessThan(10 * MIB);
    expect(statSync(fileOf(sandbox)).mode & 0o777).toBe(0o600);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    expect(readdirSync(here.channelDir)).toEqual([]);
  });

  it.each<readonly [string, (file: string) => void]>([
    ['one byte is another', (file) => flip(file, 0.5)],
    ['its last byte is another', (file) => flip(file, 1)],
    ['its header says something else', (file) => edit(file, '"maxFiles":40', '"maxFiles":41')],
    ['it is cut off', (file) => truncateSync(file, Math.floor(statSync(file).size / 2))],
    ['it is empty', (file) => truncateSync(file, 0)],
    ['it is another file', (file) => writeFileSync(file, randomBytes(100_000))],
  ])('that cannot be trusted are given up: %s', async (_, spoil) => {
    const [driver, sandbox] = await awake('kept = 1');
    await driver.hibernate(sandbox.id);
    await driver.close();
    spoil(fileOf(sandbox));
    const later = newDriver();
    expect(await codeOf(later.attach(sandbox.id))).toBe('gone');
    await later.destroy(sandbox.id);
    expect(asleep()).toEqual([]);
    expect(await here.leftovers()).toEqual([]);
  });

  it('are of no use with another key', async () => {
    const [driver, { id }] = await awake('kept = 1');
    await driver.hibernate(id);
    const other = newDriver({ hibernation: { ...hibernation, key: randomBytes(32) } });
    expect(await codeOf(other.attach(id))).toBe('gone');
  });

  it('wake once: what was run since is not undone by an image that a crash left', async () => {
    const [driver, sandbox] = await awake('n = 1');
    await driver.hibernate(sandbox.id);
    const copy = join(folder, 'copy');
    copyFileSync(fileOf(sandbox), copy);
    const woken = await driver.attach(sandbox.id);
    expect(() => statSync(fileOf(sandbox))).toThrow('ENOENT');
    await run(woken, 'n = 2');
    await driver.close();
    // As if the server had died before it removed the image.
    renameSync(copy, fileOf(sandbox));
    const later = newDriver();
    const again = await later.attach(sandbox.id);
    expect((await run(again, 'n')).result).toBe('2');
    expect(() => statSync(fileOf(sandbox))).toThrow('ENOENT');
  });

  it('of which a wake was cut off wake again', async () => {
    const [driver, sandbox] = await awake('n = 1');
    await driver.hibernate(sandbox.id);
    const copy = join(folder, 'copy');
    copyFileSync(fileOf(sandbox), copy);
    await driver.attach(sandbox.id);
    await driver.close();
    here.docker('kill', here.containerName(sandbox.id));
    renameSync(copy, fileOf(sandbox));
    const later = newDriver();
    expect((await later.list()).map(({ state }) => state)).toEqual(['asleep']);
    expect((await run(await later.attach(sandbox.id), 'n')).result).toBe('1');
  });

  it('of which a wake was cut off in the middle wake at once', { timeout: 40_000 }, async () => {
    const [driver, { id }] = await awake('n = 1');
    await driver.hibernate(id);
    // As a server that is killed while it writes the image: Docker waits for the runtime, and the runtime for the image.
    const unpack = vi.spyOn(Sleepers.prototype, 'unpack').mockImplementation(() => new Promise(() => {}));
    void driver.attach(id).catch(() => undefined);
    await vi.waitUntil(() => existsSync(join(here.channelDir, here.containerName(id), 'origin')), 10_000);
    await sleep(1_000);
    unpack.mockRestore();
    const later = newDriver();
    expect((await run(await later.attach(id), 'n')).result).toBe('1');
  });

  it('stay awake where the disk is too full', async () => {
    const driver = newDriver({ hibernation: { ...hibernation, floorBytes: 1e15 } });
    const [, sandbox] = await awake('kept = 1', driver);
    await expect(driver.hibernate(sandbox.id)).rejects.toMatchObject({
      code: 'busy',
      message: expect.stringContaining('disk') as unknown,
    });
    expect((await run(sandbox, 'kept')).result).toBe('1');
  });

  it('leave nothing behind that a crash cut off, and no base that nobody needs', async () => {
    const [driver, sandbox] = await awake('kept = 1');
    await driver.hibernate(sandbox.id);
    const [base = ''] = readdirSync(dir).filter((name) => name.endsWith('.base'));
    const strays = [`${'0'.repeat(64)}.base`, 'a.1.unfinished', 'b.sleep'];
    for (const name of strays) writeFileSync(join(dir, name), 'stray');
    const [other, next] = await awake('kept = 2');
    await other.hibernate(next.id);
    const left = [base, `${sandbox.id}.sleep`, `${next.id}.sleep`];
    expect(readdirSync(dir).toSorted()).toEqual(left.toSorted());
  });

  it('need nothing of the template they came from', async () => {
    const own = { dir: join(folder, 'templates'), dataBytes: SPEC.dataBytes };
    const [driver, { id }] = await awake('kept = 1', newDriver({ templates: own }));
    await driver.hibernate(id);
    await driver.close();
    rmSync(own.dir, { recursive: true });
    const later = newDriver({ templates: own });
    // Makes another template, of other pages, first.
    await later.destroy((await later.create(SPEC)).id);
    expect((await run(await later.attach(id), 'kept')).result).toBe('1');
  });

  it('do not fall asleep with more than the operator allows, and go on', async () => {
    const driver = newDriver({ hibernation: { ...hibernation, mostBytes: 200 * MIB } });
    const [, large] = await awake('kept = bytearray(200 * 1024 * 1024)', driver);
    expect(await codeOf(driver.hibernate(large.id))).toBe('busy');
    const code = `import os\nwith open('/mnt/data/large', 'wb') as f: f.write(os.urandom(200 * 1024 * 1024))`;
    const [, full] = await awake(code, driver);
    expect(await codeOf(driver.hibernate(full.id))).toBe('busy');
    expect((await run(large, 'len(kept)')).result).toBe('209715200');
    expect(asleep()).toEqual([]);
  });

  it('with hundreds of megabytes of their own are as they were', { timeout: 120_000 }, async () => {
    const [driver, sandbox] = await awake(
      `import os, hashlib\nkept = os.urandom(300 * 1024 * 1024)\ndigest = hashlib.sha256(kept).hexdigest()`,
    );
    await driver.hibernate(sandbox.id);
    expect(statSync(fileOf(sandbox)).size).toBeGreaterThan(300 * MIB);
    const woken = await driver.attach(sandbox.id);
    expect((await run(woken, `hashlib.sha256(kept).hexdigest() == digest`)).result).toBe('True');
  });

  it('may go on with what code has left running', async () => {
    const [driver, { id }] = await awake(
      `import subprocess\nleft = subprocess.Popen(['sh', '-c', 'while :; do date +%N > /mnt/data/now; sleep 0.05; done'])`,
    );
    await driver.hibernate(id);
    const woken = await driver.attach(id);
    const code = `import time\na = open('/mnt/data/now').read(); time.sleep(0.5); print(left.poll(), a != open('/mnt/data/now').read())`;
    expect((await run(woken, code)).stdout).toBe('None True\n');
  });

  it('that were parked and never written down are there again', { timeout: 90_000 }, async () => {
    const [driver, { id }] = await awake('kept = 1');
    await driver.close();
    // As a server does that dies before it asks for the checkpoint.
    const client = await SupervisorClient.connect(join(here.channelDir, here.containerName(id), 'channel'));
    await client.park();
    const later = newDriver();
    expect((await run(await later.attach(id), 'kept')).result).toBe('1');
  });

  it('leave nothing', async () => {
    expect(await here.leftovers()).toEqual([]);
    expect(asleep()).toEqual([]);
  });
});

function flip(file: string, share: number): void {
  const bytes = readFileSync(file);
  const at = Math.min(bytes.length - 1, Math.floor(bytes.length * share));
  bytes[at]! ^= 1;
  writeFileSync(file, bytes);
}

function edit(file: string, from: string, to: string): void {
  const bytes = readFileSync(file);
  const at = bytes.indexOf(from);
  expect(at).toBeGreaterThan(0);
  bytes.write(to, at);
  writeFileSync(file, bytes);
}
