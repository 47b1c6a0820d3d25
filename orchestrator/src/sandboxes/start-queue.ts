/** Who waits for a sandbox, and how many are being started. Bookkeeping of the pool; starts nothing itself. */
import type { MemorySize } from '../config/env.schema.js';
import type { Sandbox } from './sandbox.driver.js';

interface Waiter {
  readonly size: MemorySize;
  /** Whose turn it is counted as: the project. */
  readonly owner: string;
  readonly since: number;
  readonly timer: NodeJS.Timeout;
  resolve(sandbox: Sandbox): void;
  reject(error: Error): void;
}

export interface QueueState {
  readonly waiting: number;
  /** Milliseconds that the first of them has waited; 0 when nobody does. */
  readonly longestMs: number;
}

/** The owners take turns, so that one who asks for fifty does not put off another who asks for one. */
export class StartQueue {
  private readonly waiters = new Set<Waiter>();
  private readonly started: Record<MemorySize, number> = { '1g': 0, '4g': 0, '16g': 0, '64g': 0 };
  /** When each owner was served last, in turns; forgotten when nobody waits. */
  private readonly turns = new Map<string, number>();
  private turn = 0;

  /** Starts under way, in all sizes. */
  get running(): number {
    return Object.values(this.started).reduce((sum, each) => sum + each, 0);
  }

  starting(size: MemorySize): number {
    return this.started[size];
  }

  state(size: MemorySize, now = Date.now()): QueueState {
    const since = [...this.waiters].filter((waiter) => waiter.size === size).map((waiter) => waiter.since);
    return { waiting: since.length, longestMs: since.length === 0 ? 0 : now - Math.min(...since) };
  }

  /**
   * Waits for the next sandbox of this size; rejects with `refusal` after `patienceMs`. `place`: how many who wait
   * now are served before.
   */
  join(
    size: MemorySize,
    owner: string,
    patienceMs: number,
    refusal: Error,
  ): { readonly sandbox: Promise<Sandbox>; readonly place: number } {
    const { promise, resolve, reject } = Promise.withResolvers<Sandbox>();
    const timer = setTimeout(() => {
      this.leave(waiter);
      reject(refusal);
    }, patienceMs);
    const waiter: Waiter = { size, owner, since: Date.now(), timer, resolve, reject };
    this.waiters.add(waiter);
    let place = 0;
    for (const each of this.inTurn()) {
      if (each === waiter) break;
      place += 1;
    }
    return { sandbox: promise, place };
  }

  /** The size of whoever's turn it is and who is not served by a start under way. */
  wanted(): MemorySize | undefined {
    const left = { ...this.started };
    for (const { size } of this.inTurn()) {
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

  /** Gives the sandbox to whoever's turn it is among those of that size; false when nobody waits. */
  hand(size: MemorySize, sandbox: Sandbox): boolean {
    const waiter = this.next(size);
    if (!waiter) return false;
    this.turn += 1;
    this.turns.set(waiter.owner, this.turn);
    this.leave(waiter);
    waiter.resolve(sandbox);
    return true;
  }

  /** A start has failed: refuses whoever's turn it is, unless other starts serve all who wait. */
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
    for (const waiter of this.inTurn()) if (waiter.size === size) return waiter;
    return undefined;
  }

  /** All who wait, in the order in which they are served: one of each owner, then the next of each. */
  private *inTurn(): Generator<Waiter> {
    const lines = new Map<string, Waiter[]>();
    for (const waiter of this.waiters) {
      const line = lines.get(waiter.owner);
      if (line) line.push(waiter);
      else lines.set(waiter.owner, [waiter]);
    }
    // Those who were served longest ago begin; the sort keeps who came first among the others.
    const owners = [...lines.keys()].toSorted((a, b) => (this.turns.get(a) ?? 0) - (this.turns.get(b) ?? 0));
    let left = this.waiters.size;
    for (let round = 0; left > 0; round += 1) {
      for (const owner of owners) {
        const waiter = lines.get(owner)?.[round];
        if (waiter === undefined) continue;
        left -= 1;
        yield waiter;
      }
    }
  }

  private leave(waiter: Waiter): void {
    clearTimeout(waiter.timer);
    this.waiters.delete(waiter);
    if (this.waiters.size === 0) this.turns.clear();
  }
}
