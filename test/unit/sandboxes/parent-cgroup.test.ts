import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  capacityBytes,
  limitBytes,
  ParentCgroup,
  parentName,
} from '../../../orchestrator/src/sandboxes/docker/parent-cgroup.js';

const GIB = 1024 ** 3;
const host = { totalBytes: 24 * GIB, floorBytes: GIB };

describe('the memory of all sandboxes together', () => {
  it('is the host’s but for the floor', () => {
    expect(capacityBytes(24 * GIB, GIB)).toBe(23 * GIB);
    expect(limitBytes({ ...host, freeBytes: 22.5 * GIB, usedBytes: GIB })).toBe(23 * GIB);
  });

  it('is what they have and what is free, where others have the rest', () => {
    expect(limitBytes({ ...host, freeBytes: 6 * GIB, usedBytes: 4 * GIB })).toBe(9.5 * GIB);
  });

  it('does not grow once half of the floor is all that is free', () => {
    expect(limitBytes({ ...host, freeBytes: 0.5 * GIB, usedBytes: 4 * GIB })).toBe(4 * GIB);
    expect(limitBytes({ ...host, freeBytes: 0, usedBytes: 4 * GIB })).toBe(4 * GIB);
  });

  it('is three quarters of the host at least, however high the floor is', () => {
    expect(capacityBytes(2 * GIB, 64_000 * GIB)).toBe(1.5 * GIB);
  });
});

describe('the name of the parent', () => {
  it('is a path of the installation’s own with cgroupfs', () => {
    const setup = { driver: 'cgroupfs', version: 1 } as const;
    expect(parentName(setup, undefined, 'sandbox-abc')).toBe('/code-interpreter/sandbox-abc');
    expect(parentName(setup, '/engine', 'sandbox-abc')).toBe('/engine/sandbox-abc');
  });

  it('is the operator’s slice with systemd, or none', () => {
    const setup = { driver: 'systemd', version: 2 } as const;
    expect(parentName(setup, undefined, 'sandbox-abc')).toBeUndefined();
    expect(parentName(setup, 'sandboxes.slice', 'sandbox-abc')).toBe('sandboxes.slice');
  });
});

/** Folders that look like the kernel's. */
describe('a parent cgroup', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'code-interpreter-cgroup-'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const mounts = () =>
    [
      `30 29 0:26 / ${root}/cpu rw - cgroup cgroup rw,cpu`,
      `31 29 0:27 / ${root}/memory rw - cgroup cgroup rw,memory`,
      `32 29 0:28 / ${root}/pids rw - cgroup cgroup rw,pids`,
    ].join('\n');
  const place = (controller: string) => join(root, controller, 'top/sandbox-abc');

  it('gets its limit and its weight, and the limit follows what is free', () => {
    mkdirSync(place('memory'), { recursive: true });
    mkdirSync(place('cpu'), { recursive: true });
    writeFileSync(join(place('memory'), 'memory.usage_in_bytes'), '1000000\n');
    const parent = new ParentCgroup('/top/sandbox-abc', { driver: 'cgroupfs', version: 1 }, mounts());
    expect(parent.renew(GIB, GIB / 2)).toBe(true);
    const limit = () => Number(readFileSync(join(place('memory'), 'memory.limit_in_bytes'), 'utf8'));
    const first = limit();
    expect(first).toBeGreaterThan(1_000_000);
    expect(readFileSync(join(root, 'cpu/top/cpu.shares'), 'utf8')).toBe('256');
    expect(parent.hasCeiling).toBe(true);
    const quota = Number(readFileSync(join(root, 'cpu/top/cpu.cfs_quota_us'), 'utf8'));
    const period = Number(readFileSync(join(root, 'cpu/top/cpu.cfs_period_us'), 'utf8'));
    expect(quota / period).toBe(Math.max(0.5, cpus().length - 0.5));
    parent.renew(0, GIB / 2);
    expect(limit()).toBe(1_000_000);
  });

  it('leaves the quota of an operator’s slice alone', () => {
    const slice = join(root, 'own.slice');
    mkdirSync(slice);
    writeFileSync(join(slice, 'memory.current'), '1000000\n');
    writeFileSync(join(slice, 'cpu.max'), '20000 100000\n');
    const mount = `30 29 0:26 / ${root} rw - cgroup2 cgroup2 rw`;
    const parent = new ParentCgroup('own.slice', { driver: 'systemd', version: 2 }, mount);
    expect(parent.renew(GIB, GIB / 2)).toBe(true);
    expect(parent.hasCeiling).toBe(true);
    expect(readFileSync(join(slice, 'cpu.max'), 'utf8')).toBe('20000 100000\n');
  });

  it('gives up what an engine that died left of its containers, in every hierarchy', () => {
    const parent = new ParentCgroup('/top/sandbox-abc', { driver: 'cgroupfs', version: 1 }, mounts());
    const [gone, running, halfMade] = ['a', 'b', 'c'].map((digit) => digit.repeat(64)) as [
      string,
      string,
      string,
    ];
    for (const controller of ['memory', 'cpu', 'pids'])
      for (const id of [gone, running, 'not-a-container'])
        mkdirSync(join(place(controller), id), { recursive: true });
    mkdirSync(join(place('pids'), halfMade));
    // The kernel refuses to remove one with a process in it, as a folder with something in it.
    mkdirSync(join(place('cpu'), halfMade, 'busy'), { recursive: true });

    expect(parent.containers()).toEqual(new Set([gone, running, halfMade]));
    parent.removeLeftovers([gone, halfMade, 'not-a-container', '../../top']);
    for (const controller of ['memory', 'cpu', 'pids']) {
      const left = controller === 'cpu' ? [running, halfMade] : [running];
      expect(readdirSync(place(controller)).sort()).toEqual([...left, 'not-a-container'].sort());
    }
    expect(parent.containers()).toEqual(new Set([running, halfMade]));
  });

  it('goes from every hierarchy once it is empty, with the one above it', () => {
    const parent = new ParentCgroup('/top/sandbox-abc', { driver: 'cgroupfs', version: 1 }, mounts());
    for (const controller of ['memory', 'cpu', 'pids']) mkdirSync(place(controller), { recursive: true });
    parent.remove();
    for (const controller of ['memory', 'cpu', 'pids'])
      expect(readdirSync(join(root, controller))).toEqual([]);
  });

  it('says so where the host hides its cgroups', () => {
    const parent = new ParentCgroup('/top/sandbox-abc', { driver: 'cgroupfs', version: 2 }, mounts());
    expect(parent.renew(GIB, GIB)).toBe(false);
    expect(parent.hasCeiling).toBe(false);
    expect(parent.cpuMs()).toBeUndefined();
    parent.remove();
  });
});
