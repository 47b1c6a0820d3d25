/**
 * Names of half-written files say who writes them, so that a starting server can tell the leftovers
 * of a crash from the work of another process that shares the folder.
 */

const NAME = /^(\d+)@(.+)@[^@]+$/;

export const stagingName = (host: string, unique: string, pid = process.pid): string =>
  `${pid}@${host}@${unique}`;

/** A process of another user answers EPERM: it lives. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/**
 * Asked at boot, before anything is written. True for files whose writer is gone: no process of that
 * id on this host, or it is our own id (then the writer ran before us). Files of other hosts and
 * strange names are left to `sweepStaging`.
 */
export function isAbandoned(name: string, host: string, ownPid = process.pid): boolean {
  const match = NAME.exec(name);
  if (!match || match[2] !== host) return false;
  const pid = Number(match[1]);
  return pid === ownPid || !isAlive(pid);
}
