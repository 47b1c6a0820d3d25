/** Who is inside, what does it see of the host, and what may it do? */
import { readFileSync } from 'node:fs';
import { hostname, release } from 'node:os';
import { describe, expect, it } from 'vitest';
import { engineIsSkipped } from '../../fakes/sandboxes/real-engine.js';
import { AttackBench, ORIGINS } from './attack-bench.js';
import { HOST_TRACES, KERNEL } from './questions.js';

describe.skipIf(engineIsSkipped).each(ORIGINS)('isolation of a sandbox made from %s', (origin) => {
  const bench = new AttackBench(`isolation-${origin}`, origin);
  const DENIED = /^(EPERM|EACCES|EROFS|ENOENT|ENOSYS|EINVAL|ENODEV|ENXIO|ESRCH|ENOTDIR)$/;

  it('runs on gVisor’s kernel, not on the host’s', async () => {
    const seen = await bench.ask<{ version: string; release: string; log: string }>(KERNEL);
    expect(seen.log).toContain('gVisor');
    expect(seen.release).not.toBe(release());
    expect(seen.version).not.toBe(readFileSync('/proc/version', 'utf8'));
  });

  it('learns nothing that names the host or the container', async () => {
    const seen = await bench.ask<Record<string, string>>(HOST_TRACES);
    expect(seen.hostname).toBe('sandbox');
    const secrets = [bench.here.channelDir, bench.here.id, 'docker', 'overlay2', 'containerd'];
    for (const [place, text] of Object.entries(seen)) {
      for (const secret of secrets)
        expect({ place, secret, found: text.includes(secret) }).toMatchObject({ found: false });
    }
    const words = Object.values(seen).flatMap((text) => text.split(/[\s,;:=]+/));
    expect(words).not.toContain(hostname());
    expect(seen['/etc/resolv.conf']).not.toMatch(/nameserver (?!127\.0\.0\.1)/);
  });

  // gVisor would name it in /proc/self/cgroup; our runtime drops the bundle’s cgroup mount.
  it('learns not even the container’s id', async () => {
    const seen = await bench.ask<Record<string, string>>(HOST_TRACES);
    const engineId = await bench.here.engineId((await bench.attacked()).id);
    expect(JSON.stringify(seen)).not.toContain(engineId.slice(0, 12));
  });

  it.each(['the kernel', 'a child'])('has no privileges: %s', async (who) => {
    const status = `dict(l.split(':', 1) for l in open('/proc/self/status').read().splitlines() if ':' in l)`;
    const code =
      who === 'the kernel'
        ? `answer({**${status}, 'nnp': libc.prctl(39, 0, 0, 0, 0)})`
        : `out = subprocess.run([sys.executable, '-c', 'import json, ctypes; print(json.dumps({**${status.replaceAll("'", '"')}, "nnp": ctypes.CDLL(None).prctl(39, 0, 0, 0, 0)}))'], capture_output=True, text=True)
answer(json.loads(out.stdout))`;
    const seen = await bench.ask<Record<string, string | number>>(code);
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
      if (seen[set] === undefined) continue;
      expect([set, BigInt(`0x${String(seen[set]).trim()}`)]).toEqual([set, 0n]);
    }
    expect(seen.nnp).toBe(1);
    expect(String(seen.Uid).trim().split(/\s+/)).toEqual(['1000', '1000', '1000', '1000']);
  });

  it('cannot mount, or leave its namespaces', async () => {
    const seen = await bench.ask<Record<string, string | null>>(`
NEWUSER, NEWNS, NEWPID, NEWNET = 0x10000000, 0x20000, 0x20000000, 0x40000000
answer({
    'mount': system('mount', b'none', b'/mnt/data', b'tmpfs', 0, None),
    'bind': system('mount', b'/', b'/mnt/data', None, 4096, None),
    'umount': system('umount2', b'/mnt/data', 2),
    'pivot_root': system('syscall', 155, b'/mnt/data', b'/mnt/data'),
    'chroot': system('chroot', b'/mnt/data'),
    'unshare ns': system('unshare', NEWNS),
    'unshare pid': system('unshare', NEWPID),
    'unshare net': system('unshare', NEWNET),
    'setns': outcome(lambda: os.setns(os.open('/proc/1/ns/net', 0), 0)),
    'fsopen': system('syscall', 430, b'tmpfs', 0),
    'bpf': system('syscall', 321, 0, None, 0),
    'kexec': system('syscall', 246, 0, 0, None, 0),
    'init_module': system('syscall', 175, None, 0, b''),
})`);
    for (const [call, result] of Object.entries(seen))
      expect([call, result ?? 'worked']).toEqual([call, expect.stringMatching(DENIED)]);
  });

  it('gains nothing from a user namespace of its own', async () => {
    const seen = await bench.ask<Record<string, string | null>>(`
program = '''
import ctypes, os, errno
libc = ctypes.CDLL(None, use_errno=True)
def outcome(call):
    try: call()
    except OSError as error: return errno.errorcode[error.errno]
libc.unshare(0x10000000 | 0x20000)
import json
print(json.dumps({
    'channel': outcome(lambda: os.listdir('/run/sandbox')),
    'root file': outcome(lambda: open('/etc/shadow').read()),
    'supervisor': outcome(lambda: os.kill(1, 9)),
    'root': outcome(lambda: open('/etc/passwd', 'a')),
}))
'''
answer(json.loads(subprocess.run([sys.executable, '-c', program], capture_output=True, text=True).stdout))`);
    for (const [what, result] of Object.entries(seen))
      expect([what, result]).toEqual([what, expect.stringMatching(DENIED)]);
  });

  it('cannot make or open devices', async () => {
    const seen = await bench.ask<Record<string, string | null>>(`
import stat
def device(kind, major, minor):
    path = f'/mnt/data/device-{major}-{minor}'
    os.mknod(path, kind | 0o600, os.makedev(major, minor))
    try: os.close(os.open(path, os.O_RDWR))
    finally: os.unlink(path)
answer({
    **{f'block {major}': outcome(lambda: device(stat.S_IFBLK, major, 0)) for major in (7, 8, 252, 253, 254, 259)},
    'mem': outcome(lambda: device(stat.S_IFCHR, 1, 1)),
    'port': outcome(lambda: device(stat.S_IFCHR, 1, 4)),
    'kmsg': outcome(lambda: device(stat.S_IFCHR, 1, 11)),
    'misc': outcome(lambda: device(stat.S_IFCHR, 10, 232)),
    'null': outcome(lambda: device(stat.S_IFCHR, 1, 3)),
    'tun': outcome(lambda: device(stat.S_IFCHR, 10, 200)),
    'fuse': outcome(lambda: device(stat.S_IFCHR, 10, 229)),
    **{path: outcome(lambda: os.open(path, os.O_RDWR)) for path in
       ['/dev/mem', '/dev/kmem', '/dev/port', '/dev/sda', '/dev/vda', '/dev/kvm', '/dev/loop-control']},
})`);
    for (const [what, result] of Object.entries(seen))
      expect([what, result ?? 'worked']).toEqual([what, expect.stringMatching(DENIED)]);
  });

  it('finds no socket of the host, and not even the supervisor’s', async () => {
    const seen = await bench.ask<{
      sockets: string[];
      abstract: string;
      docker: string | null;
      channel: string | null;
    }>(`
import stat
sockets = []
for folder, folders, files in os.walk('/'):
    if folder == '/': folders[:] = [f for f in folders if f not in ('proc', 'sys', 'usr')]
    for name in files:
        path = os.path.join(folder, name)
        try:
            if stat.S_ISSOCK(os.lstat(path).st_mode): sockets.append(path)
        except OSError: pass
def connect(path):
    with socket.socket(socket.AF_UNIX) as s: s.connect(path)
answer({
    'sockets': sockets,
    'abstract': open('/proc/net/unix').read() if os.path.exists('/proc/net/unix') else '',
    'docker': outcome(lambda: connect('/var/run/docker.sock')),
    'channel': outcome(lambda: connect('/run/sandbox/supervisor.sock')),
})`);
    expect(seen.sockets).toEqual([]);
    expect(seen.abstract).not.toContain(bench.here.channelDir);
    expect(seen.docker).toMatch(DENIED);
    expect(seen.channel).toMatch(DENIED);
  });

  it('cannot trace, read or write the supervisor', async () => {
    const seen = await bench.ask<Record<string, string | null>>(`
class Vector(ctypes.Structure): _fields_ = [('base', ctypes.c_void_p), ('length', ctypes.c_size_t)]
room = ctypes.create_string_buffer(8)
local, remote = Vector(ctypes.addressof(room), 8), Vector(0x400000, 8)
def descriptors(pid):
    try: names = os.listdir(f'/proc/{pid}/fd')
    except PermissionError: return os.listdir(f'/proc/{pid}/fdinfo')  # not even their targets are told
    return [fd for fd in names if os.stat(f'/proc/{pid}/fd/{fd}').st_mode & 0o170666 != 0o020666]
found = {}
own = os.getpid()
for pid in [int(p) for p in os.listdir('/proc') if p.isdigit()]:
    try: status = open(f'/proc/{pid}/status').read()
    except OSError: continue
    if pid == own or 'Uid:\\t1000\\t1000\\t1000' in status: continue
    found.update({
        f'ptrace {pid}': system('ptrace', 16, pid, None, None),
        f'seize {pid}': system('ptrace', 0x4206, pid, None, None),
        f'readv {pid}': system('process_vm_readv', pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0),
        f'writev {pid}': system('process_vm_writev', pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0),
        f'mem {pid}': outcome(lambda: open(f'/proc/{pid}/mem', 'r+b')),
        **{f'fd {pid} {fd}': outcome(lambda: os.close(os.open(f'/proc/{pid}/fd/{fd}', os.O_WRONLY | os.O_NONBLOCK)))
           for fd in descriptors(pid)},
        f'kill {pid}': outcome(lambda: os.kill(pid, 9)),
        f'stop {pid}': outcome(lambda: os.kill(pid, 19)),
        f'pidfd {pid}': system('syscall', 438, system('syscall', 434, pid, 0) or -1, 3, 0),
    })
answer(found)`);
    expect(Object.keys(seen)).toContain('ptrace 1');
    for (const [what, result] of Object.entries(seen)) {
      expect([what, result ?? 'worked']).toEqual([
        what,
        expect.stringMatching(/^(EPERM|EACCES|ENOSYS|ESRCH|EBADF|EFAULT|EIO|ENXIO|ENODEV|ENOENT)$/),
      ]);
    }
    await bench.expectAlive();
  });

  it('reads no secret in the environment and arguments of any process', async () => {
    const seen = await bench.ask<string>(
      `
text = ''
for pid in [p for p in os.listdir('/proc') if p.isdigit()]:
    for name in ('environ', 'cmdline', 'maps', 'mountinfo'):
        try: text += open(f'/proc/{pid}/{name}', errors='replace').read()
        except OSError: pass
answer(text)`,
      { maxOutputBytes: 4_000_000 },
    );
    for (const secret of [bench.here.channelDir, bench.here.id, 'SANDBOX_DISK_MOUNTS']) {
      expect([secret, seen.includes(secret)]).toEqual([secret, false]);
    }
  });

  it('cannot change Python, packages, accounts or the supervisor’s program', async () => {
    const seen = await bench.ask<Record<string, string | null>>(`
import numpy
targets = [os.__file__, numpy.__file__, '/etc/passwd', '/etc/ld.so.preload', '/usr/bin/python3', '/opt/sandbox/supervisor/main.py',
           '/opt/sandbox/kernel/main.py', '/new', '/usr/new', '/etc/new', '/root/new', '/var/new', '/run/new', '/proc/sys/kernel/core_pattern']
answer({path: outcome(lambda: open(path, 'ab').write(b'x')) for path in targets})`);
    for (const [path, result] of Object.entries(seen))
      expect([path, result ?? 'worked']).toEqual([path, expect.stringMatching(DENIED)]);
  });

  it('cannot take the place of the supervisor’s socket', async () => {
    const seen = await bench.ask<Record<string, string | null>>(`
def squat():
    with socket.socket(socket.AF_UNIX) as s: s.bind('/run/sandbox/supervisor.sock')
answer({
    'list': outcome(lambda: os.listdir('/run/sandbox')),
    'unlink': outcome(lambda: os.unlink('/run/sandbox/supervisor.sock')),
    'rename': outcome(lambda: os.rename('/run/sandbox', '/run/other')),
    'link': outcome(lambda: os.symlink('/x', '/run/sandbox/link')),
    'bind': outcome(squat),
    'chmod': outcome(lambda: os.chmod('/run/sandbox', 0o777)),
})`);
    for (const [what, result] of Object.entries(seen))
      expect([what, result ?? 'worked']).toEqual([what, expect.stringMatching(DENIED)]);
    await (await bench.attacked()).ping();
  });
});
