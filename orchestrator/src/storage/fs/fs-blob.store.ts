/** Blob store in a folder: `blobs/ab/ab12…` for content, `staging/` for what is being written. */
import { randomUUID } from 'node:crypto';
import { mkdir, open, opendir, rename, rm, stat, statfs } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { ApiError } from '../../common/api-error.js';
import { sync } from '../../common/durable.js';
import { Semaphore } from '../../common/mutex.js';
import {
  BlobMissingError,
  BlobStore,
  type ByteRange,
  type Content,
  type StagedBlob,
  type StorageUsage,
  type StoredBlob,
  type WriteOptions,
} from '../blob.store.js';
import { DiskSpace, storageFull } from '../disk-space.js';
import { StagingFile, writeAll } from './staging-file.js';
import { isAbandoned, stagingName } from './staging-name.js';

/** Injection token of the folder the store lives in. */
export const BLOB_DIR = Symbol('BLOB_DIR');

const SHA256 = /^[0-9a-f]{64}$/;

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code;
const isAbsent = (error: unknown): boolean => codeOf(error) === 'ENOENT';

const tooLarge = (maxBytes: number): ApiError =>
  new ApiError('file_too_large', `The file is larger than the ${maxBytes} bytes this server accepts here.`);

const asStorageError = (error: unknown): unknown =>
  codeOf(error) === 'ENOSPC' || codeOf(error) === 'EDQUOT'
    ? storageFull(
        'The storage of this server is full. Delete files, or ask its operator for more space.',
        error,
      )
    : error;

/** Files that are written and synced at the same time: file systems share the work of syncs that overlap. */
const PARALLEL_SYNCS = 16;

interface Staged extends StagedBlob {
  /** Its name in `staging/`, where it is a file unless it is in memory. */
  readonly name: string;
  readonly memory: Uint8Array | undefined;
}

async function take(content: Content, file: StagingFile, options: WriteOptions): Promise<void> {
  const { maxBytes = Number.POSITIVE_INFINITY, admit } = options;
  const chunks = content instanceof Readable ? (content as AsyncIterable<Buffer>) : [content];
  for await (const chunk of chunks) {
    if (file.length + chunk.length > maxBytes) throw tooLarge(maxBytes);
    await admit?.(chunk.length);
    await file.add(chunk);
  }
}

@Injectable()
export class FsBlobStore extends BlobStore implements OnModuleInit {
  private readonly blobsDir: string;
  private readonly stagingDir: string;
  /** Names in `staging/` that this process writes or is about to commit; never swept. */
  private readonly active = new Set<string>();
  private readonly syncs = new Semaphore(PARALLEL_SYNCS);
  private readonly disk: DiskSpace;

  constructor(@Inject(BLOB_DIR) dir: string, disk?: DiskSpace) {
    super();
    this.disk = disk ?? new DiskSpace([dir], 0);
    this.blobsDir = join(dir, 'blobs');
    this.stagingDir = join(dir, 'staging');
  }

  /** Makes the folders and removes what a crashed process was writing. */
  async onModuleInit(): Promise<void> {
    await mkdir(this.blobsDir, { recursive: true, mode: 0o700 });
    await mkdir(this.stagingDir, { recursive: true, mode: 0o700 });
    for await (const entry of await opendir(this.stagingDir)) {
      if (isAbandoned(entry.name, hostname())) await this.dropStaged(entry.name);
    }
  }

  async stage(content: Content, options: WriteOptions = {}): Promise<StagedBlob> {
    const name = stagingName(hostname(), randomUUID());
    const file = new StagingFile(join(this.stagingDir, name), (bytes) => this.disk.claim(bytes));
    this.active.add(name);
    try {
      await this.disk.claim(0);
      await take(content, file, options);
      const { info, memory } = await file.finish();
      const staged: Staged = { ...info, name, memory, discard: () => this.dropStaged(name) };
      return staged;
    } catch (error) {
      if (content instanceof Readable) content.destroy();
      await file.close();
      await this.dropStaged(name);
      throw asStorageError(error);
    }
  }

  async commit(blobs: readonly StagedBlob[]): Promise<void> {
    const wanted = new Map((blobs as readonly Staged[]).map((each) => [each.sha256, each]));
    try {
      const missing = await this.missing([...wanted.values()]);
      await this.inParallel(missing, (each) => this.makeDurable(each));
      await this.publish(missing);
    } catch (error) {
      throw asStorageError(error);
    }
  }

  async read(sha256: string, range: ByteRange = {}): Promise<Readable> {
    const handle = await open(this.pathOf(sha256), 'r').catch((error: unknown) => {
      throw isAbsent(error) ? new BlobMissingError(sha256) : error;
    });
    return handle.createReadStream({ start: range.start ?? 0, end: range.end ?? Number.POSITIVE_INFINITY });
  }

  async has(sha256: string, bytes?: number): Promise<boolean> {
    const size = await this.sizeOf(sha256);
    return bytes === undefined ? size !== null : size === bytes;
  }

  async remove(sha256: string): Promise<void> {
    await rm(this.pathOf(sha256), { force: true });
  }

  async *list(): AsyncIterable<StoredBlob> {
    for await (const shard of await opendir(this.blobsDir)) {
      if (!shard.isDirectory()) continue;
      for await (const entry of await opendir(join(this.blobsDir, shard.name))) {
        if (!SHA256.test(entry.name)) continue;
        const found = await stat(this.pathOf(entry.name)).catch(() => null);
        if (found) yield { sha256: entry.name, bytes: found.size, modifiedAt: found.mtime };
      }
    }
  }

  async sweepStaging(olderThanMs: number): Promise<number> {
    let dropped = 0;
    for await (const entry of await opendir(this.stagingDir)) {
      if (this.active.has(entry.name)) continue;
      const found = await stat(join(this.stagingDir, entry.name)).catch(() => null);
      if (!found || Date.now() - found.mtimeMs < olderThanMs) continue;
      await this.dropStaged(entry.name);
      dropped += 1;
    }
    return dropped;
  }

  async usage(): Promise<StorageUsage> {
    let blobs = 0;
    let bytes = 0;
    for await (const blob of this.list()) {
      blobs += 1;
      bytes += blob.bytes;
    }
    const disk = await statfs(this.blobsDir);
    return { blobs, bytes, freeBytes: disk.bavail * disk.bsize };
  }

  /** Waits for all, also when one fails: nobody may clean up behind a write that goes on. */
  private async inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
    const done = await Promise.allSettled(items.map((item) => this.syncs.run(() => work(item))));
    const failed = done.find((each) => each.status === 'rejected');
    if (failed) throw failed.reason;
  }

  private async makeDurable(staged: Staged): Promise<void> {
    const path = join(this.stagingDir, staged.name);
    if (!staged.memory) return sync(path);
    await this.disk.claim(staged.bytes);
    const handle = await open(path, 'wx', 0o600);
    try {
      await writeAll(handle, staged.memory, 0);
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  /** A rename is atomic: readers see nothing or everything. A damaged older copy is replaced. */
  private async publish(blobs: readonly Staged[]): Promise<void> {
    const shards = new Set<string>();
    let isNew = false;
    for (const { sha256, name } of blobs) {
      const shard = this.shardOf(sha256);
      if (!shards.has(shard)) {
        shards.add(shard);
        isNew = (await mkdir(shard, { recursive: true, mode: 0o700 })) !== undefined || isNew;
      }
      await rename(join(this.stagingDir, name), this.pathOf(sha256));
      this.active.delete(name);
    }
    await this.inParallel([...shards], sync);
    if (isNew) await sync(this.blobsDir);
  }

  /** Those that the store does not have yet. */
  private async missing(blobs: readonly Staged[]): Promise<Staged[]> {
    const there = await Promise.all(blobs.map((each) => this.has(each.sha256, each.bytes)));
    return blobs.filter((_, index) => !there[index]);
  }

  private async sizeOf(sha256: string): Promise<number | null> {
    try {
      return (await stat(this.pathOf(sha256))).size;
    } catch (error) {
      if (isAbsent(error)) return null;
      throw error;
    }
  }

  private async dropStaged(name: string): Promise<void> {
    await rm(join(this.stagingDir, name), { force: true });
    this.active.delete(name);
  }

  private pathOf(sha256: string): string {
    if (!SHA256.test(sha256)) throw new BlobMissingError(sha256);
    return join(this.shardOf(sha256), sha256);
  }

  private shardOf(sha256: string): string {
    return join(this.blobsDir, sha256.slice(0, 2));
  }
}
