/** PORT: where the bytes of files live. Adapters: `fs/`. */
import type { Readable } from 'node:stream';

/** What a piece of content is known by. `sha256` is lower-case hex. */
export interface BlobInfo {
  readonly sha256: string;
  readonly bytes: number;
}

/** A stream, which is taken to its end or destroyed, or bytes that are in memory anyway. */
export type Content = Readable | Uint8Array;

export interface WriteOptions {
  /** Most bytes taken; one more and the write fails with `file_too_large` (413). */
  readonly maxBytes?: number;
  /** Asked before each chunk is kept, with its length; throws to end the write. */
  readonly admit?: (bytes: number) => Promise<void>;
}

/** Byte positions to read, both inclusive; absent means from the first or to the last. */
export interface ByteRange {
  readonly start?: number | undefined;
  readonly end?: number | undefined;
}

/** Content that was taken but is neither durable nor visible yet: commit it, or `discard` it, also when that failed. */
export interface StagedBlob extends BlobInfo {
  /** Drops it; nothing happens when it was committed. */
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
 * Content-addressed, write-once storage. Only the services in this folder and the health checks call it:
 * features go through `BlobsService`, which keeps the rows that say what is still needed.
 *
 * Contract for adapters: a reader sees whole content or none, also after a crash at any moment;
 * writing the same content twice stores it once; nothing is held in memory beyond a few chunks.
 */
export abstract class BlobStore {
  /**
   * Takes `content` to its end without making it durable or visible. Fails with what `content` fails
   * with, `file_too_large` beyond `maxBytes`, what `admit` throws, or a 507 when the disk is full or
   * below its floor; then nothing is left behind and `content` is destroyed.
   */
  abstract stage(content: Content, options?: WriteOptions): Promise<StagedBlob>;

  /**
   * Makes staged content durable and readable under its hash; what is there already is left alone. Many
   * at once cost little more than one. Fails with a 507 when the disk is full.
   */
  abstract commit(staged: readonly StagedBlob[]): Promise<void>;

  /** The bytes of a blob; the caller reads or destroys the stream. Throws `BlobMissingError`. */
  abstract read(sha256: string, range?: ByteRange): Promise<Readable>;

  /** Whether it is there; with `bytes`, in that size. */
  abstract has(sha256: string, bytes?: number): Promise<boolean>;

  /** Removes content; nothing happens when it is not there. Readers that have it open go on. */
  abstract remove(sha256: string): Promise<void>;

  /** All visible content, in no order; asked by the clean-up. */
  abstract list(): AsyncIterable<StoredBlob>;

  /** Drops staged content untouched for `olderThanMs`; returns how many. Asked by the clean-up. */
  abstract sweepStaging(olderThanMs: number): Promise<number>;

  /** Walks the whole store: for `doctor`, metrics and the admin API, not for every request. */
  abstract usage(): Promise<StorageUsage>;

  /** `stage` and `commit` in one, for content that needs no row. */
  async write(content: Content, options: WriteOptions = {}): Promise<BlobInfo> {
    const staged = await this.stage(content, options);
    try {
      await this.commit([staged]);
    } finally {
      await staged.discard();
    }
    return { sha256: staged.sha256, bytes: staged.bytes };
  }
}
