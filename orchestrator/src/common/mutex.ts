import pLimit from 'p-limit';

/** Serialises work per key within this process. What must hold across processes is decided by a row. */
export class KeyedMutex {
  private readonly tails = new Map<string, Promise<void>>();

  /** Runs `work` when every earlier call for `key` has settled; returns its result. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const release = await this.acquire(key);
    try {
      return await work();
    } finally {
      release();
    }
  }

  /** Waits for the turn of `key` and returns the function that ends it; call it exactly once. */
  async acquire(key: string): Promise<() => void> {
    const before = this.tails.get(key) ?? Promise.resolve();
    let release!: () => void;
    const mine = new Promise<void>((resolve) => {
      release = resolve;
    });
    const tail = before.then(() => mine);
    this.tails.set(key, tail);
    await before;
    return () => {
      release();
      if (this.tails.get(key) === tail) this.tails.delete(key);
    };
  }

  isBusy(key: string): boolean {
    return this.tails.has(key);
  }
}

/** At most so many at once; the others wait in line. */
export class Semaphore {
  private readonly limit: pLimit.Limit;

  constructor(size: number) {
    this.limit = pLimit(size);
  }

  run<T>(work: () => Promise<T>): Promise<T> {
    return this.limit(work);
  }

  /** Waits for a place and returns what gives it back, for work that does not end where it began; again does nothing. */
  take(): Promise<() => void> {
    return new Promise((resolve) => {
      void this.limit(() => new Promise<void>((release) => resolve(release)));
    });
  }

  get queued(): number {
    return this.limit.pendingCount;
  }
}
