import { Injectable, type BeforeApplicationShutdown, Logger } from '@nestjs/common';
import { BlobGuard } from './blob-guard.js';
import { BlobRepository, type FreedEntry } from './blob.repository.js';
import { BlobStore } from './blob.store.js';

const LOOK_UP_BATCH = 500;
/** Milliseconds a delete waits for its content to go; a large clean-up goes on behind it. */
const PATIENCE_MS = 500;

/** Removes content that nothing refers to any more. */
@Injectable()
export class BlobCollector implements BeforeApplicationShutdown {
  private readonly logger = new Logger(BlobCollector.name);
  private running: Promise<number> = Promise.resolve(0);
  private next: Promise<number> | undefined;
  private isStopping = false;

  constructor(
    private readonly store: BlobStore,
    private readonly rows: BlobRepository,
    private readonly guard: BlobGuard,
  ) {}

  async beforeApplicationShutdown(): Promise<void> {
    this.isStopping = true;
    await (this.next ?? this.running).catch(() => undefined);
  }

  /**
   * Called after rows that refer to content were deleted: begins to remove what that freed, and waits a
   * moment for it. Never fails; what is left is looked at again by the clean-up job.
   */
  async soon(): Promise<void> {
    const done = this.freed().catch((error: unknown) => {
      this.logger.warn({ err: error }, 'freed content could not be removed yet');
    });
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, PATIENCE_MS)));
    await Promise.race([done, patience]);
    clearTimeout(timer);
  }

  /**
   * Looks at everything noted as freed by now; returns how many pieces of content went. A round that is
   * under way may be past the newest notes, so who asks meanwhile waits for the one after it.
   */
  freed(): Promise<number> {
    this.next ??= this.running
      .catch(() => 0)
      .then(() => {
        this.next = undefined;
        this.running = this.drain();
        return this.running;
      });
    return this.next;
  }

  /**
   * Walks through all rows and all content: what nothing refers to and nobody wrote for `graceMs`, and
   * content without a row. Takes long on a large store.
   */
  async walk(graceMs: number): Promise<{ readonly blobs: number; readonly orphans: number }> {
    const before = new Date(Date.now() - graceMs);
    let blobs = 0;
    for await (const hashes of this.rows.unused(before)) {
      if (this.isStopping) break;
      blobs += (await this.removeUnused(hashes, graceMs)).removed;
    }
    return { blobs, orphans: await this.collectOrphans(before, graceMs) };
  }

  private async drain(): Promise<number> {
    let removed = 0;
    let key = 0n;
    for (;;) {
      const entries = this.isStopping ? [] : await this.rows.due(key);
      if (entries.length === 0) break;
      removed += await this.dealWith(entries);
      key = entries.at(-1)!.key;
    }
    this.guard.prune();
    return removed;
  }

  private async dealWith(entries: readonly FreedEntry[]): Promise<number> {
    const { removed, left } = await this.removeUnused([...new Set(entries.map((entry) => entry.sha256))]);
    const settled = entries.filter((entry) => !left.has(entry.sha256));
    if (settled.length > 0) await this.rows.settle(settled.map((entry) => entry.key));
    return removed;
  }

  /** `left`: somebody needs these right now, so they must be looked at again. */
  private async removeUnused(
    sha256s: readonly string[],
    graceMs?: number,
  ): Promise<{ readonly removed: number; readonly left: ReadonlySet<string> }> {
    return this.guard.exclusively(sha256s, async () => {
      const left = new Set(sha256s.filter((sha256) => this.guard.isNeeded(sha256, graceMs)));
      const hashes = sha256s.filter((sha256) => !left.has(sha256));
      if (hashes.length === 0) return { removed: 0, left };
      const { removed, busy } = await this.rows.removeUnused(hashes);
      for (const sha256 of busy) left.add(sha256);
      // Also what lost its row in a round that was cut off before its content went.
      const known = await this.rows.known(hashes);
      for (const sha256 of hashes) if (!known.has(sha256)) await this.store.remove(sha256);
      return { removed: removed.length, left };
    });
  }

  private async collectOrphans(before: Date, graceMs: number): Promise<number> {
    let removed = 0;
    let batch: string[] = [];
    const flush = async (): Promise<void> => {
      removed += await this.removeOrphans(batch, graceMs);
      batch = [];
    };
    for await (const blob of this.store.list()) {
      if (this.isStopping) break;
      if (blob.modifiedAt >= before) continue;
      batch.push(blob.sha256);
      if (batch.length === LOOK_UP_BATCH) await flush();
    }
    await flush();
    return removed;
  }

  private async removeOrphans(sha256s: readonly string[], graceMs: number): Promise<number> {
    const known = await this.rows.known(sha256s);
    const unknown = sha256s.filter((sha256) => !known.has(sha256));
    if (unknown.length === 0) return 0;
    return this.guard.exclusively(unknown, async () => {
      const rows = await this.rows.known(unknown);
      const orphans = unknown.filter((each) => !rows.has(each) && !this.guard.isNeeded(each, graceMs));
      for (const sha256 of orphans) await this.store.remove(sha256);
      return orphans.length;
    });
  }
}
