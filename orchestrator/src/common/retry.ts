/** Tries again what must succeed in the end. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface RetryOptions {
  /** Whether this failure passes by itself; any other one is thrown at once. */
  readonly isTransient: (error: unknown) => boolean;
  /** Gives up the waiting, with the last failure: the process ends. */
  readonly signal: AbortSignal;
  /** Called before each wait, with the number of the try that failed, from 1. */
  readonly onFailure?: (error: unknown, attempt: number) => void;
}

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;

/** Runs `work` until it succeeds, with growing pauses of at most five seconds. */
export async function untilDone<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (options.signal.aborted || !options.isTransient(error)) throw error;
      options.onFailure?.(error, attempt);
      const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (attempt - 1));
      await sleep(waitMs, undefined, { signal: options.signal }).catch(() => undefined);
    }
  }
}
