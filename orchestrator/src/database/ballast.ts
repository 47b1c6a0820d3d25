/**
 * Room in reserve for PostgreSQL. When others fill its disk to the last byte it can write nothing, so it can
 * neither start nor delete. The ballast is a file that is given up then, and written again when there is
 * room: so the server starts, what is stored can be read, and deleting frees what it deletes.
 */
import { randomBytes } from 'node:crypto';
import { open, rm, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Enough for some segments of the journal (16 MiB each). */
const BALLAST_BYTES = 64 * 1024 ** 2;
/** Free bytes below which it is given up. */
const LOW_BYTES = 24 * 1024 ** 2;
/** Free bytes from which on it is written, again or for the first time. */
const PLENTY_BYTES = 4 * BALLAST_BYTES;
const PIECE_BYTES = 1024 ** 2;

export class Ballast {
  private writing: Promise<void> | undefined;
  private readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Gives it up when the disk is full, asks for it when there is plenty. Cheap, called every second; never rejects. */
  async tend(): Promise<void> {
    try {
      const { bavail, bsize } = await statfs(dirname(this.path));
      const freeBytes = bavail * bsize;
      if (freeBytes < LOW_BYTES) await rm(this.path, { force: true });
      else if (freeBytes >= PLENTY_BYTES && !(await this.isThere())) this.writing ??= this.write();
    } catch {
      // A disk that cannot be asked cannot be helped either.
    }
  }

  /** Resolves when nothing is being written any more. */
  async settled(): Promise<void> {
    await this.writing;
  }

  private async isThere(): Promise<boolean> {
    const found = await stat(this.path).catch(() => undefined);
    return found?.size === BALLAST_BYTES;
  }

  /** Bytes that no file system can make small. */
  private async write(): Promise<void> {
    try {
      const file = await open(this.path, 'w', 0o600);
      try {
        for (let at = 0; at < BALLAST_BYTES; at += PIECE_BYTES) await file.write(randomBytes(PIECE_BYTES));
      } finally {
        await file.close();
      }
    } catch {
      await rm(this.path, { force: true }).catch(() => undefined);
    } finally {
      this.writing = undefined;
    }
  }
}
