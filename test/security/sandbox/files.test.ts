/** Names, links and special files that code leaves for whoever lists and downloads. */
import { describe, expect, it } from 'vitest';
import { engineIsSkipped } from '../../fakes/sandboxes/real-engine.js';
import { codeOf, readAll, readText, source } from '../../contract/sandbox-driver.helpers.js';
import { AttackBench } from './attack-bench.js';

const clean = `
import os, shutil
for name in os.listdir(b'/mnt/data'):
    path = os.path.join(b'/mnt/data', name)
    if os.path.isdir(path) and not os.path.islink(path): shutil.rmtree(path)
    else: os.unlink(path)
`;
const REFUSED = /^(not_a_file|not_found|invalid_path)$/;

describe.skipIf(engineIsSkipped)('files of an attacker', () => {
  const bench = new AttackBench('files');

  it('that are links lead nowhere outside', async () => {
    const links: Record<string, string> = {
      passwd: '/etc/passwd',
      shadow: '/etc/shadow',
      environ: '/proc/1/environ',
      own: '/proc/self/environ',
      channel: '/run/sandbox/supervisor.sock',
      relative: '../../etc/passwd',
      loop: '/mnt/data/loop',
      folder: '/etc',
      root: '/',
      tmp: '/tmp/outside',
    };
    await bench.attack(
      `${clean}\nopen('/tmp/outside', 'w').write('outside')\nfor name, target in ${JSON.stringify(links)}.items(): os.symlink(target, '/mnt/data/' + name)`,
    );
    const sandbox = await bench.attacked();
    expect((await sandbox.listFiles()).entries).toEqual([]);
    for (const name of [...Object.keys(links), 'folder/passwd', 'root/etc/passwd']) {
      expect([name, await codeOf(sandbox.getFile(`/mnt/data/${name}`))]).toEqual([
        name,
        expect.stringMatching(REFUSED),
      ]);
    }
    for (const name of ['folder/new', 'root/mnt/new', 'root/tmp/new']) {
      expect([name, await codeOf(sandbox.putFile(`/mnt/data/${name}`, source('x')))]).toEqual([
        name,
        expect.any(String),
      ]);
      expect([name, await codeOf(sandbox.removeFile(`/mnt/data/${name}`))]).toEqual([
        name,
        expect.any(String),
      ]);
    }
    await sandbox.putFile('/mnt/data/tmp', source('mine'));
    const told = await bench.attack(
      `import os; print(open('/tmp/outside').read(), os.path.islink('/mnt/data/tmp'), os.path.exists('/tmp/new'))`,
    );
    expect(told.stdout).toBe('outside False False\n');
  });

  it('that are links may stay inside', async () => {
    await bench.attack(
      `${clean}\nos.mkdir('/mnt/data/d'); open('/mnt/data/d/f', 'w').write('x'); os.symlink('/mnt/data/d/f', '/mnt/data/link')`,
    );
    const code = await codeOf(bench.attacked().then((sandbox) => readText(sandbox, '/mnt/data/link')));
    expect([undefined, 'not_a_file']).toContain(code);
  });

  it('that are swapped for links meanwhile give no secret', async () => {
    await bench.attack(`${clean}
import subprocess, sys
subprocess.Popen([sys.executable, '-c', '''
import os, time
end = time.monotonic() + 4
os.mkdir("/mnt/data/race"); open("/mnt/data/race/passwd", "w").write("mine")
while time.monotonic() < end:
    try:
        os.rename("/mnt/data/race", "/mnt/data/away"); os.symlink("/etc", "/mnt/data/race")
        os.unlink("/mnt/data/race"); os.rename("/mnt/data/away", "/mnt/data/race")
    except OSError: pass
'''])`);
    const sandbox = await bench.attacked();
    const end = performance.now() + 2_500;
    const seen = new Set<string>();
    while (performance.now() < end) {
      seen.add(
        await readText(sandbox, '/mnt/data/race/passwd').catch(
          (error: { code?: string }) => error.code ?? 'unknown',
        ),
      );
    }
    for (const text of seen) expect(text).toMatch(/^(mine||not_a_file|not_found|invalid_path)$/);
    await new Promise((resolve) => setTimeout(resolve, 1_700));
  });

  it('that are no files are refused at once', async () => {
    await bench.attack(`${clean}
import socket
os.mkfifo('/mnt/data/fifo')
socket.socket(socket.AF_UNIX).bind('/mnt/data/socket')
os.mkdir('/mnt/data/folder')
os.symlink('/dev/zero', '/mnt/data/zero')
os.symlink('/proc/kmsg', '/mnt/data/kmsg')`);
    const sandbox = await bench.attacked();
    expect((await sandbox.listFiles()).entries).toEqual([]);
    for (const name of ['fifo', 'socket', 'folder', 'zero', 'kmsg']) {
      const beganAt = performance.now();
      expect([name, await codeOf(sandbox.getFile(`/mnt/data/${name}`))]).toEqual([
        name,
        expect.stringMatching(REFUSED),
      ]);
      expect(performance.now() - beganAt).toBeLessThan(10_000);
    }
    expect(await codeOf(sandbox.putFile('/mnt/data/fifo', source('x')))).toBe('not_a_file');
    expect(await codeOf(sandbox.putFile('/mnt/data/folder', source('x')))).toBe('not_a_file');
  });

  it.each([
    ['grow', 'f.seek(0, 2); f.write(b"y" * 1_000_000)'],
    ['shrink', 'f.truncate(10)'],
    ['vanish', 'os.path.exists("/mnt/data/moving") and os.unlink("/mnt/data/moving")'],
  ])('that %s during a download give no more than was announced', async (_, change) => {
    await bench.attack(`${clean}\nopen('/mnt/data/moving', 'wb').write(b'x' * 20_000_000)`);
    const sandbox = await bench.attacked();
    const { bytes, content } = await sandbox.getFile('/mnt/data/moving');
    const running = bench.attack(
      `import os, time\nwith open('/mnt/data/moving', 'r+b') as f:\n    for _ in range(20): ${change}; f.flush(); time.sleep(0.01)`,
    );
    const received = await readAll(content).catch((error: { code?: string }) =>
      Buffer.from(error.code ?? 'unknown'),
    );
    expect(bytes).toBe(20_000_000);
    expect(received.length).toBeLessThanOrEqual(bytes);
    await running;
    await bench.expectAlive();
  });

  it('with hostile names are listed, given and removed exactly', async () => {
    const names = [
      'a\nb',
      'a\rb',
      '"quoted"',
      ';rm -rf',
      '%2e%2e',
      '-dash',
      '.hidden',
      'e\u0301',
      '\u00e9',
      '🐎',
      'C:\\x',
      'NUL',
      'dot.',
      ' ',
      '\u202e.txt',
      '\u2028',
      '<img src=x onerror=alert(1)>',
      '$(id)',
      '`id`',
      '\x01\x1b[31m',
    ];
    await bench.attack(
      `${clean}\nfor name in ${JSON.stringify(names)}: open('/mnt/data/' + name, 'w').write(name)\nopen(b'/mnt/data/\\xff\\xfe', 'w').write('bytes')`,
    );
    const sandbox = await bench.attacked();
    const { entries } = await sandbox.listFiles();
    expect(entries.map(({ path }) => path).sort()).toEqual(
      [...names.map((name) => `/mnt/data/${name}`), '/mnt/data/\udcff\udcfe'].sort(),
    );
    for (const { path } of entries) {
      const expected = path === '/mnt/data/\udcff\udcfe' ? 'bytes' : path.slice('/mnt/data/'.length);
      expect(await readText(sandbox, path)).toBe(expected);
      await sandbox.removeFile(path);
    }
    expect((await sandbox.listFiles()).entries).toEqual([]);
  });

  it('deep down are listed or left out, without a crash', async () => {
    const told = await bench.attack(`${clean}
os.chdir('/mnt/data')
for _ in range(300): os.mkdir('d' * 50); os.chdir('d' * 50)
open('deep', 'w').close(); os.chdir('/mnt/data'); open('shallow', 'w').close()`);
    expect(told.finished.status).toBe('completed');
    const { entries } = await (await bench.attacked()).listFiles();
    expect(entries.map(({ path }) => path)).toContain('/mnt/data/shallow');
    await bench.expectAlive();
    await bench.attack(clean);
  });

  it('without permissions are no trouble', async () => {
    await bench.attack(
      `${clean}\nopen('/mnt/data/closed', 'w').write('x'); os.chmod('/mnt/data/closed', 0)\nos.mkdir('/mnt/data/shut'); open('/mnt/data/shut/f', 'w').close(); os.chmod('/mnt/data/shut', 0)`,
    );
    const sandbox = await bench.attacked();
    await sandbox.listFiles();
    await codeOf(sandbox.getFile('/mnt/data/closed'));
    await codeOf(sandbox.getFile('/mnt/data/shut/f'));
    await bench.expectAlive();
    await bench.attack(
      `import os\nos.chmod('/mnt/data/shut', 0o700); os.chmod('/mnt/data/closed', 0o600)\n${clean}`,
    );
  });

  it('whose times were forged are still known to have changed', async () => {
    await bench.attack(
      `${clean}\nopen('/mnt/data/forged', 'w').write('before'); open('/mnt/data/still', 'w').write('still')`,
    );
    const told = await bench.attack(`
import os
before = os.stat('/mnt/data/forged')
with open('/mnt/data/forged', 'w') as f: f.write('after!')
os.utime('/mnt/data/forged', ns=(before.st_atime_ns, before.st_mtime_ns))`);
    expect(told.finished.files.map(({ path, change }) => [path, change])).toEqual([
      ['/mnt/data/forged', 'modified'],
    ]);
  });

  it('of impossible times are listed', async () => {
    await bench.attack(`${clean}
for name, seconds in {'old': -10_000_000_000, 'zero': 0, 'far': 10_413_792_000, 'farther': 1 << 40}.items():
    open('/mnt/data/' + name, 'w').close()
    try: os.utime('/mnt/data/' + name, (seconds, seconds))
    except OSError: pass`);
    const { entries } = await (await bench.attacked()).listFiles();
    expect(entries).toHaveLength(4);
    for (const { modifiedAtMs } of entries) expect(Number.isFinite(modifiedAtMs)).toBe(true);
  });

  it('cannot stand in for a folder of an upload', async () => {
    await bench.attack(`${clean}\nopen('/mnt/data/a', 'w').write('file')`);
    const sandbox = await bench.attacked();
    expect(await codeOf(sandbox.putFile('/mnt/data/a/b', source('x')))).toMatch(
      /^(not_a_file|invalid_path)$/,
    );
    expect(await readText(sandbox, '/mnt/data/a')).toBe('file');
  });
});
