/** Processes, memory, disk, inodes, descriptors: each runs out for the attacker alone. */
import { statfsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { engineIsSkipped } from '../../fakes/sandboxes/real-engine.js';
import { codeOf, readText, source } from '../../contract/sandbox-driver.helpers.js';
import { ATTACK_SPEC, AttackBench, MAX_PROCESSES, MIB } from './attack-bench.js';
import { FILL } from './questions.js';

describe.skipIf(engineIsSkipped)('running out of', () => {
  const bench = new AttackBench('exhaustion');

  describe('processes', () => {
    it('is an error that code can handle', async () => {
      // Children of a small program: those of the kernel would run out of memory first.
      const [name, children] = await bench.ask<[string, number]>(`
program = """
import errno, json, os, time
children = []
try:
    while True:
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        children.append(pid)
except OSError as error: name = errno.errorcode[error.errno]
for pid in children: os.kill(pid, 9); os.waitpid(pid, 0)
print(json.dumps([name, len(children)]))
"""
answer(json.loads(subprocess.run([sys.executable, '-I', '-S', '-c', program], capture_output=True, text=True).stdout))`);
      expect(name).toBe('EAGAIN');
      expect(children).toBeLessThan(MAX_PROCESSES);
      await bench.expectAlive();
    });

    it.each([
      [
        'of a small program',
        `import subprocess, sys; subprocess.run([sys.executable, '-I', '-S', '-c', BOMB])`,
      ],
      ['of the kernel itself', 'exec(BOMB)'],
      [
        'of a small program whose children leave their group',
        `import subprocess, sys; subprocess.run([sys.executable, '-I', '-S', '-c', BOMB.replace('os.fork()', 'os.fork() or os.setsid()')])`,
      ],
    ])('costs a fork bomb its own sandbox at most: %s', async (_, code) => {
      const bomb = `BOMB = "import os\\nwhile True:\\n    try: os.fork()\\n    except OSError: pass"`;
      const outcome = await bench.attack(`${bomb}\n${code}`, { timeoutMs: 3_000 }).then(
        ({ finished }) => finished.status,
        (error: Error) => error.message,
      );
      // Its copies of the kernel's memory may outrun the supervisor; then the host's limit ends it.
      expect(outcome).toMatch(/^(timed_out|kernel_died|out_of_memory)$|needed more memory/);
      await bench.expectAlive();
      const left = await bench.ask<number>(`answer(len([p for p in os.listdir('/proc') if p.isdigit()]))`);
      expect(left).toBeLessThan(20);
    });

    it('survives a thread bomb', async () => {
      const told = await bench.attack(
        `
import threading, time
try:
    while True: threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
except RuntimeError as error: print('stopped:', error)`,
        { timeoutMs: 20_000 },
      );
      expect(told.stdout).toContain("stopped: can't start new thread");
      await (await bench.attacked()).ping();
      await (await bench.attacked()).restart();
      await bench.expectAlive();
    });
  });

  describe('memory', () => {
    it.each([
      ['one large allocation', 'hog = bytearray(3 << 30)\nfor i in range(0, len(hog), 4096): hog[i] = 1'],
      ['many small ones', 'hog = []\nwhile True: hog.append(bytearray(1 << 20))'],
      // With pauses: what outruns the supervisor may meet the host's limit, which ends the whole sandbox.
      [
        'a memfd',
        "import os, time\nf = os.memfd_create('x')\nwhile True:\n    os.write(f, bytes(1 << 20))\n    time.sleep(0.001)",
      ],
      [
        'shared memory',
        "import mmap\nhogs = []\nwhile True:\n    m = mmap.mmap(-1, 64 << 20); m.write(b'x' * (64 << 20)); hogs.append(m)",
      ],
    ])('is told as such, and costs variables only: %s', async (_, code) => {
      const sandbox = await bench.attacked();
      await sandbox.putFile('/mnt/data/kept.txt', source('kept'));
      const told = await bench.attack(code, { timeoutMs: 30_000 });
      expect(told.notices).toContain('out_of_memory');
      expect(told.finished).toMatchObject({ status: 'out_of_memory', stateLost: true });
      expect(await readText(sandbox, '/mnt/data/kept.txt')).toBe('kept');
      await bench.expectAlive();
    });
  });

  describe('memory, by children of the code,', () => {
    it.each([
      [
        // With pauses here as well. Two have to die, whichever they are.
        'forks',
        'pids = []\nfor i in range(3):\n    pid = os.fork()\n    if pid == 0:\n        hog = bytearray(800 << 20)\n        for j in range(0, len(hog), 4096):\n            hog[j] = 1\n            if j % (16 << 20) == 0: time.sleep(0.02)\n        time.sleep(60); os._exit(0)\n    pids.append(pid)\nends = [os.waitstatus_to_exitcode(os.wait()[1])]',
      ],
      [
        'a program',
        "import subprocess, sys\nends = [subprocess.run([sys.executable, '-c', 'x = []\\nwhile True: x.append(bytes(range(256)) * 20_000)']).returncode]",
      ],
    ])('costs them their lives, and leaves Python its variables: %s', async (_, code) => {
      await bench.attack("import os, time\nkept = 'kept'");
      const told = await bench.attack(`import os, time\n${code}`, { timeoutMs: 60_000 });
      expect(told.finished).toMatchObject({ status: 'completed', stateLost: false });
      expect(told.notices).toContain('out_of_memory');
      expect((await bench.attack('print(kept, ends)')).stdout).toBe('kept [-9]\n');
      await (await bench.attacked()).restart();
      await bench.expectAlive();
    });
  });

  describe('files', () => {
    it('ends as a clear status, and the next execution is quick', { timeout: 300_000 }, async () => {
      const told = await bench.attack(
        `import os\nos.mkdir('/mnt/data/flood')\nfor i in range(1_000_000): os.close(os.open(f'/mnt/data/flood/{i}', os.O_CREAT))`,
        { timeoutMs: 200_000 },
      );
      expect(told.finished).toMatchObject({ status: 'interrupted', stateLost: false, filesTruncated: true });
      expect(told.notices).toContain('files_limit');
      const beganAt = performance.now();
      expect((await bench.attack('1 + 1', { timeoutMs: 60_000 })).result).toBe('2');
      // The aim is a second; what a busy machine makes of it is no fault.
      process.stderr.write(
        `  1 + 1 after 100,000 files: ${Math.round(performance.now() - beganAt)} ms (aim 1000)\n`,
      );
      await bench.attack('import shutil; shutil.rmtree("/mnt/data/flood")', { timeoutMs: 120_000 });
      await bench.expectAlive();
    });
  });

  describe('disk', () => {
    it('happens at the documented size, everywhere, and never on the host', async () => {
      const before = statfsSync(bench.here.channelDir);
      const seen = await bench.ask<Record<string, [number, string | null]>>(
        `${FILL}
folders = {'/mnt/data', '/tmp', '/dev/shm', '/var/tmp', '/run', '/opt', '/usr', '/etc', '/', os.path.expanduser('~'), os.path.expanduser('~/.cache'), os.path.expanduser('~/.ipython')}
answer({folder: fill(folder, 1200) for folder in sorted(folders)})`,
        { timeoutMs: 60_000 },
      );
      const limits: Record<string, number> = {
        '/mnt/data': ATTACK_SPEC.dataBytes,
        '/tmp': 1_024 * MIB,
        '/dev/shm': 64 * MIB,
      };
      for (const [folder, [written, reason]] of Object.entries(seen)) {
        const limit =
          Object.entries(limits).find(([top]) => folder === top || folder.startsWith(`${top}/`))?.[1] ?? 0;
        expect([folder, reason]).toEqual([
          folder,
          expect.stringMatching(/^(ENOSPC|EROFS|EACCES|EPERM|ENOENT|EFBIG)$/),
        ]);
        expect(written).toBeLessThanOrEqual(limit);
      }
      expect(seen['/mnt/data']?.[0]).toBeGreaterThan(ATTACK_SPEC.dataBytes * 0.9);
      const used = (before.bavail - statfsSync(bench.here.channelDir).bavail) * before.bsize;
      expect(used).toBeLessThan(ATTACK_SPEC.dataBytes + 1_100 * MIB + 512 * MIB);
      await bench.expectAlive();
    });

    it.each([
      [
        'a deleted file that is still open',
        `f = open('/mnt/data/x', 'wb', buffering=0); os.unlink('/mnt/data/x')\ntry:\n    for i in range(400): wrote += f.write(os.urandom(1 << 20))\nexcept OSError as error: reason = errno.errorcode[error.errno]\nf.close()`,
      ],
      [
        'preallocation',
        `f = os.open('/mnt/data/x', os.O_RDWR | os.O_CREAT)\ntry:\n    os.posix_fallocate(f, 0, 400 << 20); wrote = 400 << 20\nexcept OSError as error: reason = errno.errorcode[error.errno]\nos.close(f); os.unlink('/mnt/data/x')`,
      ],
      [
        'many files',
        `n = 0\ntry:\n    while wrote < 400 << 20:\n        with open(f'/mnt/data/many-{n}', 'wb', buffering=0) as f: wrote += f.write(bytes(8 << 20))\n        n += 1\nexcept OSError as error: reason = errno.errorcode[error.errno]\nfor i in range(n + 1):\n    if os.path.exists(f'/mnt/data/many-{i}'): os.unlink(f'/mnt/data/many-{i}')`,
      ],
    ])('cannot be got around: %s', async (_, code) => {
      const [wrote, reason] = await bench.ask<[number, string]>(
        `wrote, reason = 0, None\n${code}\nanswer([wrote, reason])`,
        { timeoutMs: 30_000 },
      );
      expect(reason).toMatch(/^(ENOSPC|EFBIG)$/);
      expect(wrote).toBeLessThanOrEqual(ATTACK_SPEC.dataBytes);
      await bench.expectAlive();
    });

    it('by writing to a mapping of a sparse file hurts the attacker only', async () => {
      const told = await bench.attack(
        `import mmap, os\nf = os.open('/mnt/data/mapped', os.O_RDWR | os.O_CREAT); os.ftruncate(f, 250 << 20)\nm = mmap.mmap(f, 250 << 20)\nfor i in range(0, len(m), 4096): m[i] = 1\nos.unlink('/mnt/data/mapped')`,
        { timeoutMs: 20_000 },
      );
      expect(['completed', 'kernel_died', 'out_of_memory']).toContain(told.finished.status);
      await bench.expectAlive();
    });

    it('is not what a sparse file of a tebibyte does, and its download is bounded', async () => {
      const told = await bench.attack(
        `import os\nwith open('/mnt/data/sparse', 'wb') as f:\n    try: f.truncate(1 << 40)\n    except OSError as error: print(error.strerror)`,
      );
      expect(told.finished.status).toBe('completed');
      const sandbox = await bench.attacked();
      const opened = await sandbox.getFile('/mnt/data/sparse').catch(() => undefined);
      if (opened !== undefined) {
        let received = 0;
        for await (const chunk of opened.content) {
          received += (chunk as Buffer).length;
          if (received > ATTACK_SPEC.dataBytes) break;
        }
        expect(received).toBeLessThanOrEqual(ATTACK_SPEC.dataBytes);
      }
      await sandbox.removeFile('/mnt/data/sparse').catch(() => undefined);
      await bench.expectAlive();
    });

    it('full, refuses an upload and keeps nothing of it', async () => {
      await bench.attack(
        `f = open('/mnt/data/full', 'wb', buffering=0)\ntry:\n    while True: f.write(bytes(1 << 20))\nexcept OSError: f.close()`,
      );
      const sandbox = await bench.attacked();
      expect(await codeOf(sandbox.putFile('/mnt/data/more', source(Buffer.alloc(MIB))))).toBe('no_space');
      const { entries } = await sandbox.listFiles();
      expect(entries.map(({ path }) => path)).not.toContain('/mnt/data/more');
      await sandbox.removeFile('/mnt/data/full');
      await bench.expectAlive();
    });
  });

  it('descriptors leaves the next execution working', async () => {
    const told = await bench.attack(
      `held = []\ntry:\n    while True: held.append(open('/dev/null'))\nexcept OSError as error: print(error.strerror)`,
    );
    expect(told.stdout).toContain('Too many open files');
    await bench.expectAlive();
    await (await bench.attacked()).restart();
  });

  it('inodes leaves listing bounded and quick', async () => {
    const told = await bench.attack(
      `import os\nos.makedirs('/mnt/data/flood')\nfor n in range(90_000):\n    os.close(os.open(f'/mnt/data/flood/{n}', os.O_CREAT | os.O_WRONLY))`,
      { timeoutMs: 25_000 },
    );
    expect(told.finished.files.length).toBeLessThanOrEqual(ATTACK_SPEC.maxFiles);
    expect(told.finished.filesTruncated).toBe(true);
    const sandbox = await bench.attacked();
    const beganAt = performance.now();
    const { entries, truncated } = await sandbox.listFiles();
    expect(performance.now() - beganAt).toBeLessThan(10_000);
    expect([entries.length <= ATTACK_SPEC.maxFiles, truncated]).toEqual([true, true]);
    expect(await codeOf(sandbox.putFile('/mnt/data/one-more', source('x')))).toBe('no_space');
    await bench.expectAlive();
    bench.spoil();
  });
});
