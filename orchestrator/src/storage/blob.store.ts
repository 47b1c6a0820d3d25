/** PORT: where the bytes of files live. Adapters: `fs/`. */
import type { Readable } from 'node:stream';

/** What a piece of content is known by. `sha256` is lower-case hex. */
export interface BlobInfo {
  readonly sha256: string;
  readonly bytes: number;
}

export interface WriteOptions {
  /** Most bytes taken; one more and the write fails with `file_too_large` (413). */
  readonly maxBytes?: number;
}

/** Byte positions to read, both inclusive; absent means from the first or to the last. */
export interface ByteRange {
  readonly start?: number | undefined;
  readonly end?: number | undefined;
}

/** Content that is safely on disk but not visible yet: `commit` it, or `discard` it, also when `commit` failed. */
export interface StagedBlob extends BlobInfo {
  /** Makes it readable under its hash; when that content is there already, drops this copy. */
  commit(): Promise<void>;
  /** Drops it. */
  discard(): Promise<void>;
}

export interface StoredBlob extends BlobInfo {
  readonly modifiedAt: Date;
}

export interface StorageUsage {
  readonly blobs: number;
  readonly bytes: number;
  /** Bytes that can still be written; null where there is no such number. */
  readonly freeBytes: number | null;
}

/** A row names content that the store does not have: lost data, or a store that was swapped. */
export class BlobMissingError extends Error {
  override readonly name = 'BlobMissingError';
  constructor(readonly sha256: string) {
    super(`The blob store has no content ${sha256}`);
  }
}

/**
 * Content-addressed, write-once storage. Only `BlobsService` and the health checks call it: features
 * go through `BlobsService`, which keeps the rows that say what is still needed.
 *
 * Contract for adapters: a reader sees whole content or none, also after a crash at any moment;
 * writing the same content twice stores it once; nothing is held in memory beyond a few chunks.
 */
export abstract class BlobStore {
  /**
   * Takes `content` to its end and makes it durable without making it visible. Fails with what
   * `content` fails with, `file_too_large` beyond `maxBytes`, or a 507 when the disk is full; then
   * nothing is left behind and `content` is destroyed.
   */
  abstract stage(content: Readable, options?: WriteOptions): Promise<StagedBlob>;

  /** The bytes of a blob; the caller reads or destroys the stream. Throws `BlobMissingError`. */
  abstract read(sha256: string, range?: ByteRange): Promise<Readable>;

  abstract has(sha256: string): Promise<boolean>;

  /** Removes content; nothing happens when it is not there. Readers that have it open go on. */
  abstract remove(sha256: string): Promise<void>;

  /** All visible content, in no order; asked by the clean-up. */
  abstract list(): AsyncIterable<StoredBlob>;

  /** Drops staged content untouched for `olderThanMs`; returns how many. Asked by the clean-up. */
  abstract sweepStaging(olderThanMs: number): Promise<number>;

  /** Walks the whole store: for `doctor`, metrics and the admin API, not for every request. */
  abstract usage(): Promise<StorageUsage>;

  /** `stage` and `commit` in one, for content that needs no row. */
  async write(content: Readable, options: WriteOptions = {}): Promise<BlobInfo> {
    const staged = await this.stage(content, options);
    try {
      await staged.commit();
    } catch (error) {
      await staged.discard();
      throw error;
    }
    return { sha256: staged.sha256, bytes: staged.bytes };
  }
}
