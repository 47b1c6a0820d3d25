/**
 * Keys that were looked up a moment ago. Good ones and unknown ones are kept apart, so that a stranger who
 * tries keys cannot push out anybody's; what is in neither is asked for together, one query at a time.
 */
import { LRUCache } from 'lru-cache';
import type { ActiveKey } from './api-key.repository.js';

/** Milliseconds a good key is trusted without a look; a change that bypasses this server takes as long. */
const GOOD_MS = 30_000;
const MAX_GOOD = 10_000;
/** Short, because a key may be made by another process just after it was tried. */
const UNKNOWN_MS = 5_000;
const MAX_UNKNOWN = 10_000;
/** Keys asked for in one query. */
const BATCH = 500;

interface Question {
  readonly answer: (key: ActiveKey | null) => void;
  readonly fail: (error: unknown) => void;
}

export class KeyCache {
  private readonly good = new LRUCache<string, ActiveKey>({ max: MAX_GOOD, ttl: GOOD_MS });
  private readonly unknown = new LRUCache<string, true>({ max: MAX_UNKNOWN, ttl: UNKNOWN_MS });
  private readonly waiting = new Map<string, Question[]>();
  /** Those the running query answers. */
  private asked: ReadonlyMap<string, Question[]> = new Map();
  private asking = false;
  /** Counts up with each `forget`, so that an answer from before it is not kept. */
  private epoch = 0;

  /** `findActive` answers with the keys it knows among those hashes. */
  constructor(
    private readonly findActive: (hashes: readonly string[]) => Promise<ReadonlyMap<string, ActiveKey>>,
  ) {}

  /** The key with this hash, null when there is none; rejects when the database does not answer. */
  find(hash: string): Promise<ActiveKey | null> {
    const known = this.good.get(hash);
    if (known) return Promise.resolve(known);
    if (this.unknown.has(hash)) return Promise.resolve(null);
    return new Promise((answer, fail) => {
      const question = { answer, fail };
      const others = this.asked.get(hash) ?? this.waiting.get(hash);
      if (others) others.push(question);
      else this.waiting.set(hash, [question]);
      void this.ask();
    });
  }

  /** Called when a key or its project changed: the next request sees it. */
  forget(): void {
    this.epoch += 1;
    this.good.clear();
    this.unknown.clear();
    this.asked = new Map();
  }

  private async ask(): Promise<void> {
    if (this.asking) return;
    this.asking = true;
    try {
      while (this.waiting.size > 0) await this.askBatch();
    } finally {
      this.asking = false;
    }
  }

  private async askBatch(): Promise<void> {
    const batch = new Map<string, Question[]>();
    for (const [hash, questions] of this.waiting) {
      if (batch.size === BATCH) break;
      batch.set(hash, questions);
      this.waiting.delete(hash);
    }
    this.asked = batch;
    const { epoch } = this;
    try {
      const found = await this.findActive([...batch.keys()]);
      for (const [hash, questions] of batch) {
        const key = found.get(hash) ?? null;
        if (epoch === this.epoch) this.keep(hash, key);
        for (const { answer } of questions) answer(key);
      }
    } catch (error) {
      for (const questions of batch.values()) for (const { fail } of questions) fail(error);
    } finally {
      this.asked = new Map();
    }
  }

  private keep(hash: string, key: ActiveKey | null): void {
    if (key) this.good.set(hash, key);
    else this.unknown.set(hash, true);
  }
}
