import { Readable } from 'node:stream';
import { Inject, Injectable } from '@nestjs/common';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { BlobCollector } from './blob-collector.js';
import { BlobGuard } from './blob-guard.js';
import { BlobWriter } from './blob-writer.js';
import { BlobRepository } from './blob.repository.js';
import {
  BlobStore,
  type BlobInfo,
  type ByteRange,
  type Content,
  type StorageUsage,
  type WriteOptions,
} from './blob.store.js';
import { StorageAccountRepository } from './storage-account.repository.js';
import { StorageBudget } from './storage-budget.js';

export type { BlobWriter } from './blob-writer.js';
export { isContentGone } from './blob.repository.js';

const MINUTE_MS = 60_000;
/** Milliseconds between two walks through all content. */
const WALK_MS = 7 * 24 * 60 * MINUTE_MS;

export interface StoreOptions extends WriteOptions {
  /** Whose quota it counts against while it is written. */
  readonly projectId?: string;
}

export interface CollectedGarbage {
  /** Rows without references, removed with their content. */
  readonly blobs: number;
  /** Content without a row: what a crash left between the two. */
  readonly orphans: number;
  /** Uploads that were given up half-way. */
  readonly staged: number;
}

/** Content and the rows that say what is still needed; features store and read files through it. */
@Injectable()
export class BlobsService {
  constructor(
    private readonly store: BlobStore,
    private readonly rows: BlobRepository,
    private readonly guard: BlobGuard,
    private readonly collector: BlobCollector,
    private readonly budget: StorageBudget,
    private readonly accounts: StorageAccountRepository,
    @Inject(ENV) private readonly env: Pick<Env, 'BLOB_GRACE_MINUTES'>,
  ) {}

  /**
   * Runs `work`, which writes content and the rows that refer to it. Until it ends, what it wrote is
   * kept, and counts against the quota of the project, if one is named. When it fails, what it wrote and
   * nothing refers to is removed.
   */
  async within<T>(projectId: string | null, work: (writer: BlobWriter) => Promise<T>): Promise<T> {
    const grant = projectId === null ? null : this.budget.open(projectId);
    const writer = new BlobWriter(this.store, this.rows, this.guard, grant, this.graceMs);
    let failed = true;
    try {
      const result = await work(writer);
      failed = false;
      return result;
    } finally {
      grant?.release();
      await this.leave(writer.pinned, failed);
    }
  }

  /**
   * Streams content into the store. The caller refers to it from a row of its own within two minutes;
   * better is `within`. Fails as `BlobStore.stage` does, and with `storage_quota_exceeded`.
   */
  async write(content: Content, { projectId, ...options }: StoreOptions = {}): Promise<BlobInfo> {
    return this.within(projectId ?? null, async (writer) => {
      const blob = await writer.write(content, options);
      this.guard.touch(blob.sha256);
      return blob;
    });
  }

  /** The bytes of a blob; the caller reads or destroys the stream. Throws `BlobMissingError`. */
  read(sha256: string, range?: ByteRange): Promise<Readable> {
    return this.store.read(sha256, range);
  }

  /** The bytes of several blobs, one after the other. `tap` sees every chunk on its way, for checksums. */
  concat(sha256s: readonly string[], tap?: (chunk: Buffer) => void): Readable {
    return Readable.from(this.chunksOf(sha256s, tap), { objectMode: false });
  }

  /** Called after rows that refer to content were deleted: removes what nothing refers to any more. */
  freeUnused(): Promise<void> {
    return this.collector.soon();
  }

  /**
   * What the clean-up job does: removes freed content, and once a week walks through everything.
   * Safe beside uploads and beside itself.
   */
  async collectDue(now = new Date()): Promise<CollectedGarbage> {
    const walkedAt = await this.rows.walkedAt();
    if (!walkedAt || now.getTime() - walkedAt.getTime() >= WALK_MS) return this.collectGarbage();
    const blobs = await this.collector.freed();
    await this.accounts.foldAll();
    return { blobs, orphans: 0, staged: await this.store.sweepStaging(this.graceMs) };
  }

  /**
   * Removes freed content, and walks through all rows and all content for what nothing refers to and
   * nobody wrote for `graceMs` milliseconds. Safe beside uploads and beside itself.
   */
  async collectGarbage(graceMs = this.graceMs): Promise<CollectedGarbage> {
    const freed = await this.collector.freed();
    const { blobs, orphans } = await this.collector.walk(graceMs);
    const staged = await this.store.sweepStaging(graceMs);
    await this.accounts.reconcile();
    await this.accounts.foldAll();
    await this.rows.setWalkedAt(new Date());
    return { blobs: freed + blobs, orphans, staged };
  }

  usage(): Promise<StorageUsage> {
    return this.store.usage();
  }

  private get graceMs(): number {
    return this.env.BLOB_GRACE_MINUTES * MINUTE_MS;
  }

  private async leave(pinned: readonly string[], failed: boolean): Promise<void> {
    const again = pinned.filter((sha256) => this.guard.unpin(sha256));
    if (failed && pinned.length > 0) {
      // What cannot be noted now is found when its grace is over.
      await this.rows.free([...new Set(pinned)]).catch(() => undefined);
      await this.collector.soon();
    } else if (again.length > 0) void this.collector.soon();
  }

  private async *chunksOf(sha256s: readonly string[], tap?: (chunk: Buffer) => void): AsyncGenerator<Buffer> {
    for (const sha256 of sha256s) {
      for await (const chunk of (await this.store.read(sha256)) as AsyncIterable<Buffer>) {
        tap?.(chunk);
        yield chunk;
      }
    }
  }
}
