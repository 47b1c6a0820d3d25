/** Who waits for a sandbox, and how many are being started. Bookkeeping of the pool; starts nothing itself. */
import type { MemorySize } from '../config/env.schema.js';
import type { Sandbox } from './sandbox.driver.js';

interface Waiter {
  readonly size: MemorySize;
  readonly timer: NodeJS.Timeout;
  resolve(sandbox: Sandbox): void;
  reject(error: Error): void;
}

export class StartQueue {
  private readonly waiters = new Set<Waiter>();
  private readonly started: Record<MemorySize, number> = { '1g': 0, '4g': 0, '16g': 0, '64g': 0 };

  /** Starts under way, in all sizes. */
  get running(): number {
    return Object.values(this.started).reduce((sum, each) => sum + each, 0);
  }

  starting(size: MemorySize): number {
    return this.started[size];
  }

  /** Waits for the next sandbox of this size; rejects with `refusal` after `patienceMs`. */
  join(size: MemorySize, patienceMs: number, refusal: Error): Promise<Sandbox> {
    const { promise, resolve, reject } = Promise.withResolvers<Sandbox>();
    const timer = setTimeout(() => {
      this.waiters.delete(waiter);
      reject(refusal);
    }, patienceMs);
    const waiter: Waiter = { size, timer, resolve, reject };
    this.waiters.add(waiter);
    return promise;
  }

  /** The size of whoever has waited longest and is not served by a start under way. */
  wanted(): MemorySize | undefined {
    const left = { ...this.started };
    for (const { size } of this.waiters) {
      if (left[size] === 0) return size;
      left[size] -= 1;
    }
    return undefined;
  }

  begin(size: MemorySize): void {
    this.started[size] += 1;
  }

  end(size: MemorySize): void {
    this.started[size] -= 1;
  }

  /** Gives the sandbox to whoever has waited longest for that size; false when nobody has. */
  hand(size: MemorySize, sandbox: Sandbox): boolean {
    const waiter = this.next(size);
    if (!waiter) return false;
    this.leave(waiter);
    waiter.resolve(sandbox);
    return true;
  }

  /** A start has failed: refuses whoever has waited longest, unless other starts serve all who wait. */
  rejectOne(size: MemorySize, error: Error): void {
    const waiting = [...this.waiters].filter((waiter) => waiter.size === size).length;
    const waiter = this.next(size);
    if (!waiter || waiting <= this.started[size]) return;
    this.leave(waiter);
    waiter.reject(error);
  }

  rejectAll(error: Error): void {
    for (const waiter of this.waiters) {
      this.leave(waiter);
      waiter.reject(error);
    }
  }

  private next(size: MemorySize): Waiter | undefined {
    for (const waiter of this.waiters) if (waiter.size === size) return waiter;
    return undefined;
  }

  private leave(waiter: Waiter): void {
    clearTimeout(waiter.timer);
    this.waiters.delete(waiter);
  }
}
