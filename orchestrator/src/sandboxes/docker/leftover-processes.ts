/**
 * A start that fails half-way can leave processes of the runtime behind (shim, sandbox, gofer). They
 * carry the container's id among their arguments, which is how they are found and ended.
 */
import { readdir, readFile } from 'node:fs/promises';

const ENGINE_ID = /^[0-9a-f]{64}$/;

/** Pids whose arguments hold `engineId`, which must be Docker's full id. */
export async function processesOf(engineId: string): Promise<readonly number[]> {
  if (!ENGINE_ID.test(engineId)) return [];
  const pids: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    const argv = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
    if (argv.includes(engineId)) pids.push(Number(entry));
  }
  return pids;
}

/** Returns how many there were. What cannot be signalled (gone, not ours) is passed over. */
export async function killLeftovers(engineId: string): Promise<number> {
  const pids = await processesOf(engineId);
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself, or belongs to an engine that we may use but not signal.
    }
  }
  return pids.length;
}
