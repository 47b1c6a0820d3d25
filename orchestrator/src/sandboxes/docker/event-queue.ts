/** Events between whoever produces them and one slower reader, as an async iterator. */

/** Buffered bytes at which the producer is asked to wait, and below which it may go on. */
const HIGH_WATER_BYTES = 4 * 1_048_576;
const LOW_WATER_BYTES = 1_048_576;

export interface QueueOwner {
  /** The reader is slow (`true`) or has caught up (`false`). */
  slow(isSlow: boolean): void;
  /** The reader has left before the end. What it returns is awaited, so that leaving is orderly. */
  abandoned(): Promise<void>;
}

interface Waiter<T> {
  resolve(result: IteratorResult<T, undefined>): void;
  reject(error: unknown): void;
}

/** Ends once: with `end`, or with `fail`, whose error the reader gets after everything before it. */
export class EventQueue<T> implements AsyncIterableIterator<T, undefined> {
  private readonly owner: QueueOwner;
  private readonly items: { readonly value: T; readonly bytes: number }[] = [];
  private readonly waiters: Waiter<T>[] = [];
  private bytes = 0;
  private slow = false;
  private left = false;
  private ended = false;
  private failure: { readonly error: unknown } | undefined;

  constructor(owner: QueueOwner) {
    this.owner = owner;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  push(value: T, bytes: number): void {
    if (this.ended || this.left) return;
    const waiter = this.waiters.shift();
    if (waiter !== undefined) {
      waiter.resolve({ done: false, value });
      return;
    }
    this.items.push({ value, bytes });
    this.bytes += bytes;
    this.tell();
  }

  end(): void {
    if (this.ended) return;
    this.ended = true;
    for (const waiter of this.waiters.splice(0)) waiter.resolve({ done: true, value: undefined });
  }

  fail(error: unknown): void {
    if (this.ended) return;
    const waiter = this.waiters.shift();
    if (waiter !== undefined) waiter.reject(error);
    else this.failure = { error };
    this.end();
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const item = this.items.shift();
    if (item !== undefined) {
      this.bytes -= item.bytes;
      this.tell();
      return Promise.resolve({ done: false, value: item.value });
    }
    if (this.failure !== undefined) {
      const { error } = this.failure;
      this.failure = undefined;
      return Promise.reject(error as Error);
    }
    if (this.ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.waiters.push({ resolve, reject }));
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    const unfinished = !this.ended && !this.left;
    this.left = true;
    this.items.length = 0;
    this.bytes = 0;
    this.failure = undefined;
    for (const waiter of this.waiters.splice(0)) waiter.resolve({ done: true, value: undefined });
    this.tell();
    if (unfinished) await this.owner.abandoned();
    this.end();
    return { done: true, value: undefined };
  }

  private tell(): void {
    const slow = this.slow ? this.bytes > LOW_WATER_BYTES : this.bytes > HIGH_WATER_BYTES;
    if (slow === this.slow) return;
    this.slow = slow;
    this.owner.slow(slow);
  }
}
