import { Readable } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { BlobRepository } from './blob.repository.js';
import {
  BlobStore,
  type BlobInfo,
  type ByteRange,
  type StorageUsage,
  type WriteOptions,
} from './blob.store.js';

const LOOK_UP_BATCH = 500;

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
    private readonly blobs: BlobRepository,
  ) {}

  /**
   * Streams content into the store. The caller refers to it from a row of its own soon: content that
   * nothing refers to lives for the clean-up's grace. Fails as `BlobStore.stage` does.
   */
  async write(content: Readable, options: WriteOptions = {}): Promise<BlobInfo> {
    const staged = await this.store.stage(content, options);
    try {
      await this.blobs.register(staged, () => staged.commit());
    } catch (error) {
      await staged.discard();
      throw error;
    }
    return { sha256: staged.sha256, bytes: staged.bytes };
  }

  /** The bytes of a blob; the caller reads or destroys the stream. Throws `BlobMissingError`. */
  read(sha256: string, range?: ByteRange): Promise<Readable> {
    return this.store.read(sha256, range);
  }

  /** One blob out of several, in this order. `tap` sees every chunk on its way, for checksums. */
  async concat(sha256s: readonly string[], tap?: (chunk: Buffer) => void): Promise<BlobInfo> {
    return this.write(Readable.from(this.chunksOf(sha256s, tap), { objectMode: false }));
  }

  /**
   * Removes what nothing refers to and nobody wrote for `graceMs` milliseconds. Safe beside uploads
   * and beside itself; called by the clean-up job.
   */
  async collectGarbage(graceMs: number): Promise<CollectedGarbage> {
    const before = new Date(Date.now() - graceMs);
    let blobs = 0;
    for await (const sha256 of this.blobs.unused(before)) {
      if (!(await this.blobs.forget(sha256, before))) continue;
      await this.removeContent(sha256);
      blobs += 1;
    }
    const orphans = await this.collectOrphans(before);
    return { blobs, orphans, staged: await this.store.sweepStaging(graceMs) };
  }

  usage(): Promise<StorageUsage> {
    return this.store.usage();
  }

  private async *chunksOf(sha256s: readonly string[], tap?: (chunk: Buffer) => void): AsyncGenerator<Buffer> {
    for (const sha256 of sha256s) {
      for await (const chunk of (await this.store.read(sha256)) as AsyncIterable<Buffer>) {
        tap?.(chunk);
        yield chunk;
      }
    }
  }

  private async collectOrphans(before: Date): Promise<number> {
    let removed = 0;
    let batch: string[] = [];
    const flush = async () => {
      const known = await this.blobs.known(batch);
      for (const sha256 of batch) {
        if (!known.has(sha256) && (await this.removeContent(sha256))) removed += 1;
      }
      batch = [];
    };
    for await (const blob of this.store.list()) {
      if (blob.modifiedAt >= before) continue;
      batch.push(blob.sha256);
      if (batch.length === LOOK_UP_BATCH) await flush();
    }
    await flush();
    return removed;
  }

  private removeContent(sha256: string): Promise<boolean> {
    return this.blobs.ifForgotten(sha256, () => this.store.remove(sha256));
  }
}
