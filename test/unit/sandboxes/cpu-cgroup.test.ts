import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  CpuCgroup,
  cpuPlaces,
  hasCpuLimit,
  writeCpuLimit,
} from '../../../orchestrator/src/sandboxes/docker/cpu-cgroup.js';

const ID = 'f'.repeat(64);

describe('where the CPU cgroup of a container is', () => {
  const v1 = (cpu: string, cpuacct: string) =>
    [
      `30 29 0:26 / ${cpu} rw - cgroup cgroup rw,cpu`,
      `31 29 0:27 / ${cpuacct} rw - cgroup cgroup rw,cpuacct`,
    ].join('\n');

  it('is told by its first process', () => {
    expect(
      cpuPlaces(`2:cpuacct:/top/${ID}\n1:cpu:/top/${ID}\n0::/\n`, v1('/c/cpu', '/c/cpuacct'), ID),
    ).toEqual({
      version: 1,
      weights: `/c/cpu/top/${ID}`,
      times: `/c/cpuacct/top/${ID}`,
    });
    const mounts = '30 29 0:26 / /c rw - cgroup2 cgroup2 rw';
    const directory = `/c/system.slice/docker-${ID}.scope`;
    expect(cpuPlaces(`0::/system.slice/docker-${ID}.scope\n`, mounts, ID)).toEqual({
      version: 2,
      weights: directory,
      times: directory,
    });
  });

  it('is nowhere if that process is another one, seen from another name space', () => {
    expect(cpuPlaces('2:cpuacct:/user\n1:cpu:/user\n', v1('/c/cpu', '/c/cpuacct'), ID)).toBeUndefined();
  });
});

/** Folders that look like the kernel's. */
describe('the CPU cgroup of a sandbox', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'code-interpreter-cpu-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));
  const text = (name: string) => readFileSync(join(root, name), 'utf8');
  const cgroup = (version: 1 | 2, cpus?: number) =>
    new CpuCgroup({ version, weights: root, times: root }, cpus);

  it('says in milliseconds what was used', () => {
    writeFileSync(join(root, 'cpuacct.usage'), '1500000000\n');
    writeFileSync(join(root, 'cpu.stat'), 'usage_usec 2500000\nuser_usec 1\n');
    expect(cgroup(1).usedMs()).toBe(1_500);
    expect(cgroup(2).usedMs()).toBe(2_500);
    rmSync(join(root, 'cpu.stat'));
    expect(cgroup(2).usedMs()).toBeUndefined();
  });

  it('runs when nobody else wants to, where the kernel knows how', () => {
    writeFileSync(join(root, 'cpu.idle'), '0');
    expect(cgroup(1).giveWay(true)).toBe(true);
    expect(text('cpu.idle')).toBe('1');
    expect(existsSync(join(root, 'cpu.shares'))).toBe(false);
    cgroup(1).giveWay(false);
    expect(text('cpu.idle')).toBe('0');
  });

  it('weighs little on an older kernel', () => {
    cgroup(1).giveWay(true);
    expect(text('cpu.shares')).toBe('20');
    cgroup(2).giveWay(true);
    expect(text('cpu.weight')).toBe('2');
    cgroup(2).giveWay(false);
    expect(text('cpu.weight')).toBe('100');
  });

  it('says when its weight cannot be set', () => {
    mkdirSync(join(root, 'cpu.shares'));
    expect(cgroup(1).giveWay(true)).toBe(false);
  });

  it('is limited, never above what the operator said, and let go again', () => {
    cgroup(2).limit(0.5);
    expect(text('cpu.max')).toBe('5000 10000');
    cgroup(2).limit();
    expect(text('cpu.max')).toBe('max');
    cgroup(1, 0.25).limit(0.5);
    expect([text('cpu.cfs_quota_us'), text('cpu.cfs_period_us')]).toEqual(['2500', '10000']);
    cgroup(1, 1.5).limit();
    expect(text('cpu.cfs_quota_us')).toBe('15000');
  });

  it('is limited to as little as the kernel takes, over a longer time', () => {
    writeCpuLimit(root, 2, 0.01);
    expect(text('cpu.max')).toBe('1000 100000');
    writeCpuLimit(root, 2, 0.0001);
    expect(text('cpu.max')).toBe('1000 1000000');
  });

  it('tells whether somebody has limited it', () => {
    expect(hasCpuLimit(root, 2)).toBe(false);
    writeFileSync(join(root, 'cpu.max'), 'max 100000\n');
    writeFileSync(join(root, 'cpu.cfs_quota_us'), '-1\n');
    expect([hasCpuLimit(root, 1), hasCpuLimit(root, 2)]).toEqual([false, false]);
    writeFileSync(join(root, 'cpu.max'), '50000 100000\n');
    writeFileSync(join(root, 'cpu.cfs_quota_us'), '50000\n');
    expect([hasCpuLimit(root, 1), hasCpuLimit(root, 2)]).toEqual([true, true]);
  });
});
