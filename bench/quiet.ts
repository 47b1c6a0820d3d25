/** Waits until the machine has nothing else to do, so that one step's aftermath is not part of the next one's times. */
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

const LOOK_MS = 500;
const QUIET_LOOKS = 3;
/** Share of all processors that may be at work. */
const QUIET_SHARE = 0.08;
const TIMEOUT_MS = 60_000;

interface Ticks {
  readonly busy: number;
  readonly all: number;
}

function ticks(): Ticks {
  let [idle, all] = [0, 0];
  for (const { times } of cpus()) {
    idle += times.idle;
    all += times.user + times.nice + times.sys + times.irq + times.idle;
  }
  return { busy: all - idle, all };
}

export interface Quiet {
  /** Share of all processors that was at work at last, 0 to 1. */
  readonly busy_share: number;
  readonly waited_ms: number;
}

/** Resolves when little has run for a while, or after a minute all the same; says what it found. */
export async function untilQuiet(): Promise<Quiet> {
  const began = Date.now();
  let share = 1;
  for (let quiet = 0; quiet < QUIET_LOOKS && Date.now() - began < TIMEOUT_MS; ) {
    const before = ticks();
    await sleep(LOOK_MS);
    const after = ticks();
    share = (after.busy - before.busy) / Math.max(1, after.all - before.all);
    quiet = share <= QUIET_SHARE ? quiet + 1 : 0;
  }
  return { busy_share: Math.round(share * 100) / 100, waited_ms: Date.now() - began };
}
