/** Small disks of their own for what a server writes, so that they can be filled to the last byte, and be slow. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestServer } from '../support/server.js';

export interface OwnDisk {
  /** Where it is mounted. */
  readonly path: string;
  /** Of the block device, `major:minor`. */
  readonly device: string;
}

/** Folders of a server that lie on a disk each. */
export interface OwnDisks {
  readonly blobs: OwnDisk;
  readonly postgres: OwnDisk;
}

const SIZES = { blobs: '192M', postgres: '640M' } as const;
const THROTTLES = '/sys/fs/cgroup/blkio';
const MIB = 1024 * 1024;
/** Between two looks for room that has come free. */
const REFILL_MS = 200;

const command = (name: string, ...rest: readonly string[]): void => {
  execFileSync(name, rest, { stdio: 'ignore' });
};

/** Puts a folder of a server that is down on a disk of its own, with all that is in it. */
function mountDisk(server: TestServer, name: keyof OwnDisks): OwnDisk {
  const path = join(server.dataDir, name);
  const [image, before] = [`${path}.image`, `${path}.before`];
  mkdirSync(path, { recursive: true });
  renameSync(path, before);
  mkdirSync(path, { mode: 0o700 });
  command('truncate', '-s', SIZES[name], image);
  // No blocks that only root may use: tests may run as root.
  command('mkfs.ext4', '-q', '-m', '0', image);
  command('mount', '-o', 'loop', image, path);
  rmdirSync(join(path, 'lost+found'));
  command('cp', '-a', `${before}/.`, path);
  rmSync(before, { recursive: true });
  return { path, device: deviceOf(path) };
}

function deviceOf(path: string): string {
  const line = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find((each) => each.split(' ')[4] === path);
  return line?.split(' ')[2] ?? '';
}

/** Call it while the server is down; undefined where this user or this kernel has no loop devices to mount. */
export function mountDisks(server: TestServer): OwnDisks | undefined {
  const probe = join(server.dataDir, 'probe');
  try {
    mkdirSync(probe);
    command('truncate', '-s', '1M', `${probe}.image`);
    command('mkfs.ext4', '-q', `${probe}.image`);
    command('mount', '-o', 'loop', `${probe}.image`, probe);
    command('umount', probe);
  } catch {
    return undefined;
  }
  return { blobs: mountDisk(server, 'blobs'), postgres: mountDisk(server, 'postgres') };
}

/** Call it when the server is down for good, before its folder is removed. */
export function unmountDisks(disks: OwnDisks | undefined): void {
  for (const { path } of Object.values(disks ?? {}) as OwnDisk[]) command('umount', '--lazy', path);
}

/** Writes until not a byte is free, in pieces that get smaller. */
async function fill(path: string): Promise<void> {
  const file = await open(path, 'a');
  try {
    for (const size of [MIB, 4_096]) {
      const piece = Buffer.alloc(size, 1);
      try {
        for (;;) await file.write(piece);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      }
    }
  } finally {
    await file.close();
  }
}

/** Not a byte is free for so long; what comes free meanwhile is taken, too. */
export async function fillDisk(disk: OwnDisk, milliseconds: number): Promise<void> {
  const path = join(disk.path, 'of-others');
  const end = Date.now() + milliseconds;
  try {
    do {
      await fill(path);
      await sleep(REFILL_MS);
    } while (Date.now() < end);
  } finally {
    await rm(path, { force: true });
  }
}

/** Whether this kernel lets disks be slowed for some processes: by cgroups of version 1. */
export const canSlowDisks = (): boolean => existsSync(join(THROTTLES, 'blkio.throttle.write_iops_device'));

/** These processes, and what they start, get so many reads and writes a second from these disks for a while. */
export async function slowDisks(
  disks: readonly OwnDisk[],
  pids: readonly number[],
  perSecond: number,
  milliseconds: number,
): Promise<void> {
  const group = join(THROTTLES, `code-interpreter-faults-${process.pid}`);
  mkdirSync(group, { recursive: true });
  try {
    for (const { device } of disks) throttle(group, device, perSecond);
    for (const pid of pids) move(pid, group);
    await sleep(milliseconds);
    for (const { device } of disks) throttle(group, device, 0);
  } finally {
    for (const pid of membersOf(group)) move(pid, THROTTLES);
    // A process that started in this moment would keep it; the next fault finds it again.
    if (membersOf(group).length === 0) rmdirSync(group);
  }
}

/** 0 is no limit. */
function throttle(group: string, device: string, perSecond: number): void {
  for (const direction of ['read', 'write']) {
    writeFileSync(join(group, `blkio.throttle.${direction}_iops_device`), `${device} ${perSecond}`);
  }
}

const membersOf = (group: string): number[] =>
  readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);

/** It may have ended. */
function move(pid: number, group: string): void {
  try {
    writeFileSync(join(group, 'cgroup.procs'), String(pid));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
