/** Tries again while a database restarts: for writes that must not be lost as long as the process lives. */
import { setTimeout as sleep } from 'node:timers/promises';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 3_000;

export interface RetryOptions {
  /** Milliseconds after which the last failure is thrown; absent: it is tried for as long as it takes. */
  readonly forMs?: number;
  /** Aborting ends the pauses: the last failure is thrown. */
  readonly signal?: AbortSignal;
  /** True for failures that another try cannot mend. */
  readonly isFinal?: (error: unknown) => boolean;
  /** Called before each pause, with the number of the try that failed, from 1. */
  readonly onFailure?: (error: unknown, attempt: number) => void;
}

/** What `work` returns at last; throws what it failed with when that is final or the time is over. */
export async function retry<T>(work: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { forMs = Number.POSITIVE_INFINITY, signal, isFinal, onFailure } = options;
  const deadline = performance.now() + forMs;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1));
      if (isFinal?.(error) || signal?.aborted || performance.now() + pauseMs > deadline) throw error;
      onFailure?.(error, attempt);
      await sleep(pauseMs, undefined, signal ? { signal } : {}).catch(() => undefined);
    }
  }
}
