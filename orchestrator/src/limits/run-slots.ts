/**
 * How many responses and executions of a key run at the same time in this process. What runs here ends
 * with the process, so a crash leaves no count behind.
 */
import { Inject, Injectable } from '@nestjs/common';
import type { Caller } from '../auth/caller.js';
import { ApiError } from '../common/api-error.js';
import { TypedEvent } from '../common/typed-event.js';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';

/** Seconds a refused client is asked to wait. Runs are short or long; nobody knows. */
const RETRY_AFTER_SECONDS = 2;

export type Release = () => void;

@Injectable()
export class RunSlots {
  private readonly running = new Map<string, number>();
  /** A run of this key has ended; for what waits its turn. */
  readonly released = new TypedEvent<string>();

  constructor(@Inject(ENV) private readonly env: Env) {}

  /** Takes one; null when the key has as many as it may have. `own` is its project's limit, if it has one. */
  tryTake(keyId: string, own: number | null): Release | null {
    if (!this.isFree(keyId, own)) return null;
    this.running.set(keyId, this.count(keyId) + 1);
    let held = true;
    return () => {
      if (held) this.release(keyId);
      held = false;
    };
  }

  /** The same for somebody who waits for the answer: 429 when there is none. */
  take(caller: Caller): Release {
    const release = this.tryTake(caller.keyId, caller.limits.concurrentRuns);
    if (release) return release;
    throw this.refusal(caller);
  }

  /** The same question before the body is there; takes nothing. */
  assertFree(caller: Caller): void {
    if (!this.isFree(caller.keyId, caller.limits.concurrentRuns)) throw this.refusal(caller);
  }

  count(keyId: string): number {
    return this.running.get(keyId) ?? 0;
  }

  /** Whether one more may run. */
  isFree(keyId: string, own: number | null): boolean {
    const limit = own ?? this.env.RATE_CONCURRENT_RUNS;
    return limit === 0 || this.count(keyId) < limit;
  }

  private refusal({ keyId }: Caller): ApiError {
    return new ApiError(
      'rate_limit_exceeded',
      `Rate limit reached for this API key: ${this.count(keyId)} runs at the same time. ` +
        'Try again when one has ended, or send background: true, which waits its turn.',
      { headers: { 'retry-after': String(RETRY_AFTER_SECONDS) } },
    );
  }

  private release(keyId: string): void {
    const count = this.count(keyId) - 1;
    if (count > 0) this.running.set(keyId, count);
    else this.running.delete(keyId);
    this.released.emit(keyId);
  }
}
