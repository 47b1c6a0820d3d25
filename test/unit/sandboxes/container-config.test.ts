import { describe, expect, it } from 'vitest';
import {
  toCreateOptions,
  type ContainerSettings,
} from '../../../orchestrator/src/sandboxes/docker/container-config.js';
import type { SandboxSpec } from '../../../orchestrator/src/sandboxes/sandbox.driver.js';

const GIB = 1_073_741_824;
const spec: SandboxSpec = { memoryBytes: GIB, dataBytes: 2 * GIB, maxFiles: 500 };
const settings: ContainerSettings = {
  name: 'sandbox-abc-1',
  image: 'image:tag',
  runtime: 'gvisor',
  labels: { a: 'b' },
  folders: { channel: '/host/c', data: '/host/d', tmp: '/host/t', image: '/host/i', origin: '/host/o' },
  maxProcesses: 128,
  preload: ['numpy', 'polars'],
  headroomBytes: 134_217_728,
  annotations: false,
};
const create = (changes: Partial<ContainerSettings> = {}) =>
  toCreateOptions(spec, { ...settings, ...changes });
const host = (changes: Partial<ContainerSettings> = {}) => create(changes).HostConfig ?? {};

describe('what Docker is asked for', () => {
  it('has no network, at two levels, and none of the host’s resolvers', () => {
    expect(create().NetworkDisabled).toBe(true);
    expect(host()).toMatchObject({ NetworkMode: 'none', Dns: ['127.0.0.1'], DnsSearch: ['.'] });
  });

  it('has a read-only root, the least capabilities and no way to new ones', () => {
    expect(host()).toMatchObject({
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      CapAdd: ['SETUID', 'SETGID', 'KILL', 'CHOWN', 'DAC_OVERRIDE', 'SETPCAP'],
      SecurityOpt: ['no-new-privileges'],
      Privileged: false,
      IpcMode: 'private',
    });
    expect(host().PidMode).toBeUndefined();
    expect(host().Devices).toBeUndefined();
  });

  it('bounds memory a little above the promise, without swap', () => {
    expect(host()).toMatchObject({ Memory: GIB + 134_217_728, MemorySwap: GIB + 134_217_728 });
  });

  it('goes before the host’s own processes when memory runs out, and runs below the parent of all', () => {
    expect(host().OomScoreAdj).toBeGreaterThanOrEqual(500);
    expect(host()).not.toHaveProperty('CgroupParent');
    expect(host({ cgroupParent: '/all' }).CgroupParent).toBe('/all');
  });

  it('bounds processes inside, and far above that outside', () => {
    expect(host().Ulimits).toContainEqual({ Name: 'nproc', Soft: 128, Hard: 128 });
    expect(host().PidsLimit).toBeGreaterThanOrEqual(1_024 + 128);
  });

  it('bounds open files, file sizes and core dumps', () => {
    expect(host().Ulimits).toContainEqual({ Name: 'core', Soft: 0, Hard: 0 });
    expect(host().Ulimits).toContainEqual({ Name: 'fsize', Soft: 2 * GIB, Hard: 2 * GIB });
    expect(host().Ulimits?.some(({ Name }) => Name === 'nofile')).toBe(true);
  });

  it('limits CPUs only when asked', () => {
    expect(host().NanoCpus).toBeUndefined();
    expect(host({ cpus: 1.5 }).NanoCpus).toBe(1_500_000_000);
  });

  it('names nothing of the host', () => {
    expect(create()).toMatchObject({ Hostname: 'sandbox', Domainname: '' });
  });

  it('never comes back by itself, stays until removed, and bounds its log', () => {
    expect(host()).toMatchObject({
      RestartPolicy: { Name: '' },
      AutoRemove: false,
      LogConfig: { Type: 'json-file', Config: { 'max-size': '1m', 'max-file': '1' } },
    });
  });

  it('asks for sized disks at /mnt/data and /tmp, and a channel that is none', () => {
    expect(create().Env).toContain(
      `SANDBOX_DISK_MOUNTS=/mnt/data=${2 * GIB}:mode=0700:uid=1000:gid=1000,/tmp=${GIB}:mode=1777:uid=0:gid=0:noexec`,
    );
    expect(host().Mounts?.map(({ Type, Source, Target }) => [Type, Source, Target])).toEqual([
      ['bind', '/host/c', '/run/sandbox'],
      ['bind', '/host/d', '/mnt/data'],
      ['bind', '/host/t', '/tmp'],
    ]);
  });

  it('tells the supervisor its limits from the first moment', () => {
    expect(create().Env).toEqual(
      expect.arrayContaining([
        `SANDBOX_MEMORY_BYTES=${GIB}`,
        'SANDBOX_MAX_FILES=500',
        'SANDBOX_MAX_PROCESSES=128',
        'SANDBOX_PRELOAD=numpy,polars',
      ]),
    );
  });

  it('gives gVisor its hints directly where the engine can', () => {
    expect(host()).not.toHaveProperty('Annotations');
    expect(host({ annotations: true })).toMatchObject({
      Annotations: {
        'dev.gvisor.spec.mount.disk0.source': '/host/d',
        'dev.gvisor.spec.mount.disk0.type': 'tmpfs',
        'dev.gvisor.spec.mount.disk0.share': 'container',
        'dev.gvisor.spec.mount.disk0.options': `rw,mode=0700,uid=1000,gid=1000,size=${2 * GIB}`,
        'dev.gvisor.spec.mount.disk1.source': '/host/t',
      },
    });
  });
});
