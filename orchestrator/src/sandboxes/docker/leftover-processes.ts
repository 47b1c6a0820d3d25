/**
 * A start that fails half-way can leave processes of the runtime behind (shim, sandbox, gofer). They
 * carry the container's id among their arguments, which is how they are found and ended.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';

const ENGINE_ID = /^[0-9a-f]{64}$/;
/** Processes that are looked at in one turn of the event loop, which takes a millisecond or two. */
const A_TURN = 64;

/**
 * Pids whose arguments hold `engineId`, which must be Docker's full id. A host of hundreds of sandboxes has thousands
 * of processes, and reading each in the background would cost half a second of CPU for every sandbox that ends.
 */
export async function processesOf(engineId: string): Promise<readonly number[]> {
  if (!ENGINE_ID.test(engineId)) return [];
  const found: number[] = [];
  const pids = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid);
  for (const [index, pid] of pids.entries()) {
    if (index % A_TURN === A_TURN - 1) await nextTurn();
    if (argumentsOf(pid).includes(engineId)) found.push(Number(pid));
  }
  return found;
}

/** Empty for one that has ended. */
function argumentsOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

/**
 * Ends gVisor's own process of a sandbox. One that ran out of memory may take half a minute to
 * follow the engine's orders; this one it follows at once, and the engine then only clears up.
 * Returns whether the process has ended or is about to; `false` too where the engine's processes
 * cannot be seen, as from a container.
 */
export async function endSentry(pid: number, engineId: string): Promise<boolean> {
  if (pid <= 1 || !ENGINE_ID.test(engineId)) return false;
  const argv = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  // The number may meanwhile belong to somebody else.
  if (argv.startsWith('runsc-sandbox') && argv.includes(engineId)) return kill(pid);
  // The shim outlives the sandbox: who sees it would also have seen the sandbox.
  return (await processesOf(engineId)).length > 0;
}

/** Returns whether the process has ended or is about to: it may belong to an engine that we may use but not signal. */
function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** Returns how many there were. What cannot be signalled (gone, not ours) is passed over. */
export async function killLeftovers(engineId: string): Promise<number> {
  const pids = await processesOf(engineId);
  for (const pid of pids) kill(pid);
  return pids.length;
}
