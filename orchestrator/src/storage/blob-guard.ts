import { Injectable } from '@nestjs/common';
import { KeyedMutex } from '../common/mutex.js';

/** Milliseconds content that was written without a scope is left alone, until something refers to it. */
const LOOSE_MS = 120_000;

/**
 * Keeps writing and removing of the same content apart within this process, which is the only one on its
 * store and database. Content in use by a writer is not removed, although nothing refers to it yet.
 */
@Injectable()
export class BlobGuard {
  private readonly mutex = new KeyedMutex();
  private readonly pins = new Map<string, number>();
  private readonly loose = new Map<string, number>();
  private readonly passedOver = new Set<string>();

  /** One at a time for each of these. Holds no database connection while it waits. */
  async exclusively<T>(sha256s: readonly string[], work: () => Promise<T>): Promise<T> {
    const releases: (() => void)[] = [];
    try {
      // In one order, so that two of these never wait for each other.
      for (const sha256 of [...new Set(sha256s)].sort()) releases.push(await this.mutex.acquire(sha256));
      return await work();
    } finally {
      for (const release of releases) release();
    }
  }

  /** Protects content until `unpin` is called as often. Call it before the content is looked for. */
  pin(sha256: string): void {
    this.pins.set(sha256, (this.pins.get(sha256) ?? 0) + 1);
  }

  /** True when a clean-up passed over the content meanwhile and should look again. */
  unpin(sha256: string): boolean {
    const count = (this.pins.get(sha256) ?? 0) - 1;
    if (count > 0) this.pins.set(sha256, count);
    else this.pins.delete(sha256);
    return count <= 0 && this.passedOver.delete(sha256);
  }

  /** Protects content for a while. */
  touch(sha256: string): void {
    this.loose.set(sha256, Date.now());
  }

  /**
   * Whether a writer needs the content; a clean-up asks while it holds the content exclusively.
   * `graceMs` shortens the time that `touch` gives.
   */
  isNeeded(sha256: string, graceMs = LOOSE_MS): boolean {
    const isPinned = this.pins.has(sha256);
    if (isPinned) this.passedOver.add(sha256);
    const touchedAt = this.loose.get(sha256);
    return isPinned || (touchedAt !== undefined && Date.now() - touchedAt < Math.min(graceMs, LOOSE_MS));
  }

  /** Forgets what is not protected any more. */
  prune(): void {
    for (const [sha256, at] of this.loose) if (Date.now() - at >= LOOSE_MS) this.loose.delete(sha256);
  }
}
