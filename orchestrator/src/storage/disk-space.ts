import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ApiError } from '../common/api-error.js';
import { formatBytes } from '../common/memory-size.js';

/** Milliseconds a look at the disks is believed; before anybody is refused they are looked at again. */
const FRESH_MS = 1_000;

/** What the fullest of the disks under DATA_DIR has left. */
export interface DiskState {
  readonly freeBytes: number;
  readonly floorBytes: number;
  /** Nothing is stored any more until something is deleted. */
  readonly isLow: boolean;
}

export const storageFull = (message: string, cause?: unknown): ApiError =>
  new ApiError('storage_full', message, { headers: { 'x-should-retry': 'false' }, cause });

/** Free bytes of the file system that holds `path`, or would hold it once it is made. */
async function freeAt(path: string): Promise<number> {
  try {
    const disk = await statfs(path);
    return disk.bavail * disk.bsize;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(path) === path) throw error;
    return freeAt(dirname(path));
  }
}

/**
 * Keeps a floor of free disk, so that the database and the sandbox engine, which share disks with stored
 * content, never see a full one because of it. Asked before every write of content.
 */
export class DiskSpace {
  private freeBytes = 0;
  private readAtMs = Number.NEGATIVE_INFINITY;
  /** Bytes that were let through since the disks were looked at. */
  private claimedBytes = 0;
  private reading: Promise<void> | undefined;

  /** `paths`: one folder on each disk that matters; they need not be there yet. */
  constructor(
    private readonly paths: readonly string[],
    readonly floorBytes: number,
    private readonly measure: (path: string) => Promise<number> = freeAt,
  ) {}

  /** Throws `storage_full` (507) when `bytes` more would leave less than the floor. */
  async claim(bytes: number): Promise<void> {
    if (this.floorBytes === 0) return;
    if (performance.now() - this.readAtMs > FRESH_MS) await this.read();
    if (!this.fits(bytes)) await this.read();
    if (!this.fits(bytes)) {
      throw storageFull(
        `The disk of this server is nearly full: ${formatBytes(this.left)} are free, and ` +
          `${formatBytes(this.floorBytes)} are kept free. Nothing can be stored until files or containers are ` +
          'deleted, or its operator makes room.',
      );
    }
    this.claimedBytes += bytes;
  }

  async state(): Promise<DiskState> {
    await this.read();
    return {
      freeBytes: this.freeBytes,
      floorBytes: this.floorBytes,
      isLow: this.freeBytes < this.floorBytes,
    };
  }

  private get left(): number {
    return Math.max(0, this.freeBytes - this.claimedBytes);
  }

  private fits(bytes: number): boolean {
    return this.freeBytes - this.claimedBytes - bytes >= this.floorBytes;
  }

  private async read(): Promise<void> {
    this.reading ??= this.readOnce().finally(() => (this.reading = undefined));
    await this.reading;
  }

  /** What is claimed while the disks are looked at may not be written yet, so it goes on counting. */
  private async readOnce(): Promise<void> {
    const before = this.claimedBytes;
    const free = await Promise.all(this.paths.map((path) => this.measure(path)));
    this.freeBytes = Math.min(...free);
    this.claimedBytes -= before;
    this.readAtMs = performance.now();
  }
}
