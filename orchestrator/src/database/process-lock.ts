/**
 * Which process is which, across crashes. A pid alone does not say: the kernel gives it again, and a
 * container starts counting at 1 each time. So a process is its pid and the moment it began.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

/** `startedAt` is opaque; the same pid with another value is another process. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startedAt: string;
}

const run = promisify(execFile);
const LOCK_POLL_MS = 50;
const STATE_FIELD = 0;
const START_TIME_FIELD = 19;

/** The start time of a live process, or undefined when it is gone or a zombie. */
async function startTimeOf(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
    // The command name stands in parentheses and may hold anything, spaces and parentheses included.
    const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields?.[STATE_FIELD] === 'Z' ? undefined : fields?.[START_TIME_FIELD];
  }
  const listed = await run('ps', ['-o', 'lstart=', '-p', String(pid)]).catch(() => undefined);
  return listed?.stdout.trim() ?? undefined;
}

/** Undefined when the process does not live any more. */
export async function identify(pid: number): Promise<ProcessIdentity | undefined> {
  const startedAt = await startTimeOf(pid);
  return startedAt === undefined ? undefined : { pid, startedAt };
}

export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  return (await startTimeOf(identity.pid)) === identity.startedAt;
}

/** The command line of a live process, or '' when it is gone. */
export async function commandOf(pid: number): Promise<string> {
  if (process.platform === 'linux') {
    const raw = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    return raw.replaceAll('\0', ' ');
  }
  const listed = await run('ps', ['-o', 'command=', '-p', String(pid)]).catch(() => undefined);
  return listed?.stdout ?? '';
}

/** Waits until the process is gone. False when it still lives after the time. */
export async function waitForExit(identity: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (await isAlive(identity)) {
    if (Date.now() >= deadline) return false;
    await sleep(LOCK_POLL_MS / 2);
  }
  return true;
}

/** The process written in a file by `writeIdentity`, if there is one. */
export async function readIdentity(path: string): Promise<ProcessIdentity | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const match = /^(\d+) (.+)\n$/.exec(text);
  return match ? { pid: Number(match[1]), startedAt: match[2]! } : undefined;
}

const serialise = (identity: ProcessIdentity): string => `${identity.pid} ${identity.startedAt}\n`;

/** Replaces the file in one step. */
export async function writeIdentity(path: string, identity: ProcessIdentity): Promise<void> {
  await writeFile(`${path}.new`, serialise(identity), { mode: 0o644 });
  await rename(`${path}.new`, path);
}

/** This process. */
export async function self(): Promise<ProcessIdentity> {
  const identity = await identify(process.pid);
  if (!identity) throw new Error('this process cannot find itself in the process table; is /proc mounted?');
  return identity;
}

/** True when the lock is ours now. The file appears complete or not at all. */
async function tryLock(path: string, me: ProcessIdentity): Promise<boolean> {
  const own = `${path}.${randomUUID()}`;
  await writeFile(own, serialise(me), { mode: 0o644 });
  try {
    await link(own, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(own, { force: true });
  }
}

/** Takes the lock of a process that died out of the way. */
async function breakStaleLock(path: string): Promise<void> {
  const holder = await readIdentity(path);
  if (holder && (await isAlive(holder))) return;
  const moved = `${path}.${randomUUID()}`;
  const gone = await rename(path, moved).then(
    () => false,
    () => true,
  );
  if (gone) return;
  // Somebody may have locked anew between our look and our move; then it goes back.
  const caught = await readIdentity(moved);
  if (caught && (await isAlive(caught))) await link(moved, path).catch(() => undefined);
  await rm(moved, { force: true });
}

/**
 * Runs `work` while no other process holds the lock file. Locks of dead processes are taken over.
 * Throws when the lock is still held after `timeoutMs`.
 */
export async function withFileLock<T>(path: string, timeoutMs: number, work: () => Promise<T>): Promise<T> {
  const me = await self();
  const startedAt = Date.now();
  while (!(await tryLock(path, me))) {
    await breakStaleLock(path);
    if (Date.now() - startedAt > timeoutMs) {
      throw new Error(
        `another process has held ${path} for ${Math.round(timeoutMs / 1000)} s; remove it if none runs`,
      );
    }
    await sleep(LOCK_POLL_MS);
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}
