import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  cgroupDirectory,
  hostFreeBytes,
  MemoryCgroup,
  parseProcessCgroup,
} from '../../../orchestrator/src/sandboxes/docker/cgroup.js';

const V1 =
  '12:pids:/docker/abc\n4:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc\n1:name=systemd:/x\n0::/system';
const V1_MOUNTS = `30 25 0:26 / /sys/fs/cgroup/cpu rw,nosuid - cgroup cgroup rw,cpu
31 25 0:27 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory
32 25 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw`;
const V2_MOUNTS = '25 20 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate';

describe('finding the memory cgroup', () => {
  it('prefers the v1 controller where there is one', () => {
    expect(parseProcessCgroup(V1)).toEqual({ version: 1, path: '/docker/abc' });
  });

  it('takes the unified hierarchy otherwise', () => {
    expect(parseProcessCgroup('0::/system.slice/docker-abc.scope\n')).toEqual({
      version: 2,
      path: '/system.slice/docker-abc.scope',
    });
  });

  it('says so when there is none', () => {
    expect(parseProcessCgroup('')).toBeUndefined();
    expect(parseProcessCgroup('5:cpu:/x\n')).toBeUndefined();
    expect(parseProcessCgroup('5:cpu,cpuacct:/x\n', 'cpuacct')).toEqual({ version: 1, path: '/x' });
  });

  it('finds the directory by the mount of the controller', () => {
    expect(cgroupDirectory(V1_MOUNTS, { version: 1, path: '/docker/abc' })).toBe(
      '/sys/fs/cgroup/memory/docker/abc',
    );
    expect(cgroupDirectory(V2_MOUNTS, { version: 2, path: '/a/b' })).toBe('/sys/fs/cgroup/a/b');
  });

  it('understands a mount that shows only a part of the hierarchy, and odd characters', () => {
    const mounts = '25 20 0:22 /part /sys/fs/with\\040space rw - cgroup2 cgroup2 rw';
    expect(cgroupDirectory(mounts, { version: 2, path: '/part/x' })).toBe('/sys/fs/with space/x');
    expect(cgroupDirectory(mounts, { version: 2, path: '/party/x' })).toBeUndefined();
    expect(cgroupDirectory(mounts, { version: 2, path: '/other' })).toBeUndefined();
  });
});

describe('reading it', () => {
  const directory = mkdtempSync(join(tmpdir(), 'cgroup-'));
  afterAll(() => rmSync(directory, { recursive: true }));

  it('reads v1', () => {
    writeFileSync(join(directory, 'memory.oom_control'), 'oom_kill_disable 0\nunder_oom 0\noom_kill 3\n');
    writeFileSync(join(directory, 'memory.usage_in_bytes'), '1000\n');
    writeFileSync(join(directory, 'memory.stat'), 'total_inactive_file 200\ntotal_active_file 100\n');
    const cgroup = new MemoryCgroup(directory, 1);
    expect([cgroup.oomKills(), cgroup.usedBytes()]).toEqual([3, 700]);
  });

  it('reads v2', () => {
    writeFileSync(
      join(directory, 'memory.events'),
      'low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\noom_group_kill 0\n',
    );
    writeFileSync(join(directory, 'memory.current'), '5000\n');
    writeFileSync(join(directory, 'memory.stat'), 'anon 1\ninactive_file 1000\nactive_file 500\n');
    const cgroup = new MemoryCgroup(directory, 2);
    expect([cgroup.oomKills(), cgroup.usedBytes()]).toEqual([1, 3500]);
  });

  it('knows nothing of a sandbox that has ended', () => {
    const cgroup = new MemoryCgroup(join(directory, 'gone'), 2);
    expect([cgroup.oomKills(), cgroup.usedBytes()]).toEqual([undefined, undefined]);
  });

  it('knows nothing of a process that does not exist', async () => {
    expect(await MemoryCgroup.of(999_999_999)).toBeUndefined();
  });

  it('reads the free memory of this host', async () => {
    expect(await hostFreeBytes()).toBeGreaterThan(1_000_000);
  });
});
