import type { BlobGuard } from './blob-guard.js';
import type { BlobRepository } from './blob.repository.js';
import type { BlobInfo, BlobStore, Content, StagedBlob, WriteOptions } from './blob.store.js';
import type { StorageGrant } from './storage-budget.js';

/** Pieces of content that are made durable together. */
const BATCH = 128;

/**
 * Writes content within a scope (`BlobsService.within`): until the scope ends, what it wrote is not
 * removed although nothing refers to it, and counts against the project's quota.
 */
export class BlobWriter {
  /** Hashes this scope pinned, once for each time. */
  readonly pinned: string[] = [];

  /** Use `BlobsService.within`. */
  constructor(
    private readonly store: BlobStore,
    private readonly rows: BlobRepository,
    private readonly guard: BlobGuard,
    private readonly grant: StorageGrant | null,
    private readonly graceMs: number,
  ) {}

  /** Stores one piece of content. Fails as `BlobStore.stage` does, and with `storage_quota_exceeded`. */
  async write(content: Content, options: WriteOptions = {}): Promise<BlobInfo> {
    const staged = await this.stage(content, options);
    await this.commit([staged]);
    return { sha256: staged.sha256, bytes: staged.bytes };
  }

  /** Stores many, in the order they come, taking one stream after the other. Quick for small ones. */
  async writeMany(
    contents: AsyncIterable<Content> | Iterable<Content>,
    options: WriteOptions = {},
  ): Promise<BlobInfo[]> {
    const written: BlobInfo[] = [];
    const staged: StagedBlob[] = [];
    try {
      for await (const content of contents) {
        const next = await this.stage(content, options);
        staged.push(next);
        written.push({ sha256: next.sha256, bytes: next.bytes });
        if (staged.length === BATCH) await this.commit(staged.splice(0));
      }
      await this.commit(staged.splice(0));
    } finally {
      for (const each of staged) await each.discard();
    }
    return written;
  }

  /**
   * Takes content to its end without making it durable; several may be staged at the same time. The
   * caller gives it to `commit`, or discards it.
   */
  async stage(content: Content, options: WriteOptions = {}): Promise<StagedBlob> {
    let taken = 0;
    const admit = async (bytes: number): Promise<void> => {
      await options.admit?.(bytes);
      await this.grant?.take(bytes);
      taken += bytes;
    };
    try {
      return await this.store.stage(content, { ...options, admit });
    } catch (error) {
      this.grant?.give(taken);
      throw error;
    }
  }

  /**
   * Makes staged content durable, with its rows: all of it, or it throws. What the store has already
   * costs neither a write nor a sync. Nothing is staged any more afterwards.
   */
  async commit(staged: readonly StagedBlob[]): Promise<void> {
    const hashes = staged.map((each) => each.sha256);
    for (const sha256 of hashes) {
      this.guard.pin(sha256);
      this.pinned.push(sha256);
    }
    try {
      await this.guard.exclusively(hashes, () => this.keep(staged));
    } finally {
      await Promise.all(staged.map((each) => each.discard()));
    }
  }

  private async keep(staged: readonly StagedBlob[]): Promise<void> {
    if (staged.length === 0) return;
    const known = await this.rows.known(staged.map((each) => each.sha256));
    await this.store.commit(staged);
    const fresh = staged.filter((each) => !known.has(each.sha256));
    if (fresh.length > 0) await this.rows.insert(fresh, this.graceMs);
  }
}
