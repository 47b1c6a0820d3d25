/** Blob store in a folder: `blobs/ab/ab12…` for content, `staging/` for what is being written. */
import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, opendir, rename, rm, stat, statfs } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { ApiError } from '../../common/api-error.js';
import {
  BlobMissingError,
  BlobStore,
  type BlobInfo,
  type ByteRange,
  type StagedBlob,
  type StorageUsage,
  type StoredBlob,
  type WriteOptions,
} from '../blob.store.js';
import { isAbandoned, stagingName } from './staging-name.js';

/** Injection token of the folder the store lives in. */
export const BLOB_DIR = Symbol('BLOB_DIR');

const SHA256 = /^[0-9a-f]{64}$/;

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code;
const isAbsent = (error: unknown): boolean => codeOf(error) === 'ENOENT';

const storageFull = (cause: unknown): ApiError =>
  new ApiError(
    'storage_full',
    'The storage of this server is full. Delete files, or ask its operator for more space.',
    {
      headers: { 'x-should-retry': 'false' },
      cause,
    },
  );

const tooLarge = (maxBytes: number): ApiError =>
  new ApiError('file_too_large', `The file is larger than the ${maxBytes} bytes this server accepts here.`);

const asStorageError = (error: unknown): unknown =>
  codeOf(error) === 'ENOSPC' || codeOf(error) === 'EDQUOT' ? storageFull(error) : error;

/** A single write may take only a part, for instance when the disk is nearly full. */
async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let offset = 0; offset < chunk.length; ) {
    const { bytesWritten } = await handle.write(chunk, offset);
    offset += bytesWritten;
  }
}

/** Makes the names in a folder durable. */
async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

@Injectable()
export class FsBlobStore extends BlobStore implements OnModuleInit {
  private readonly blobsDir: string;
  private readonly stagingDir: string;
  /** Names in `staging/` that this process writes or is about to commit; never swept. */
  private readonly active = new Set<string>();

  constructor(@Inject(BLOB_DIR) dir: string) {
    super();
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

  async stage(content: Readable, options: WriteOptions = {}): Promise<StagedBlob> {
    const name = stagingName(hostname(), randomUUID());
    const path = join(this.stagingDir, name);
    this.active.add(name);
    try {
      const info = await this.writeFile(path, content, options.maxBytes ?? Number.POSITIVE_INFINITY);
      return { ...info, commit: () => this.publish(name, info), discard: () => this.dropStaged(name) };
    } catch (error) {
      content.destroy();
      await this.dropStaged(name);
      throw asStorageError(error);
    }
  }

  async read(sha256: string, range: ByteRange = {}): Promise<Readable> {
    const handle = await open(this.pathOf(sha256), 'r').catch((error: unknown) => {
      throw isAbsent(error) ? new BlobMissingError(sha256) : error;
    });
    return handle.createReadStream({ start: range.start ?? 0, end: range.end ?? Number.POSITIVE_INFINITY });
  }

  async has(sha256: string): Promise<boolean> {
    return (await this.sizeOf(sha256)) !== null;
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

  /** Streams to a new file and waits until the disk has it. */
  private async writeFile(path: string, content: Readable, maxBytes: number): Promise<BlobInfo> {
    const hash = createHash('sha256');
    let bytes = 0;
    const handle = await open(path, 'wx', 0o600);
    try {
      for await (const chunk of content as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes > maxBytes) throw tooLarge(maxBytes);
        hash.update(chunk);
        await writeAll(handle, chunk);
      }
      await handle.sync();
    } finally {
      await handle.close();
    }
    return { sha256: hash.digest('hex'), bytes };
  }

  /** A rename is atomic: readers see nothing or everything. A damaged older copy is replaced. */
  private async publish(name: string, info: BlobInfo): Promise<void> {
    if ((await this.sizeOf(info.sha256)) === info.bytes) return this.dropStaged(name);
    const shard = join(this.blobsDir, info.sha256.slice(0, 2));
    try {
      const isNew = (await mkdir(shard, { recursive: true, mode: 0o700 })) !== undefined;
      await rename(join(this.stagingDir, name), this.pathOf(info.sha256));
      this.active.delete(name);
      await syncFolder(shard);
      if (isNew) await syncFolder(this.blobsDir);
    } catch (error) {
      throw asStorageError(error);
    }
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
    return join(this.blobsDir, sha256.slice(0, 2), sha256);
  }
}
