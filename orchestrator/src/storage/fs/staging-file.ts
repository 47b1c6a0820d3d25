/** Content on its way in: small content in memory, larger content in a file of its own. */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import type { BlobInfo } from '../blob.store.js';

/** Content up to this size never becomes a file when the store has it already. */
const MEMORY_BYTES = 64 * 1024;
/** Bytes looked at together; where they are all zero they are left out: a hole reads the same and costs nothing. */
const PIECE_BYTES = 64 * 1024;
/** Shorter pieces are written anyway: file systems keep blocks of this size. */
const HOLE_BYTES = 4 * 1024;
const ZEROS = Buffer.alloc(PIECE_BYTES);

const isHole = (piece: Uint8Array): boolean =>
  piece.length >= HOLE_BYTES && ZEROS.subarray(0, piece.length).equals(piece);

/** Collects chunks; the caller ends it with `finish` or `abandon`. Not safe for calls that overlap. */
export class StagingFile {
  private readonly hash = createHash('sha256');
  private bytes = 0;
  private memory: Uint8Array[] = [];
  private handle: FileHandle | undefined;

  /** `claim` is asked for room before bytes reach the disk, and throws when there is none. */
  constructor(
    private readonly path: string,
    private readonly claim: (bytes: number) => Promise<void>,
  ) {}

  get length(): number {
    return this.bytes;
  }

  async add(chunk: Uint8Array): Promise<void> {
    this.hash.update(chunk);
    const at = this.bytes;
    this.bytes += chunk.length;
    if (!this.handle && this.bytes <= MEMORY_BYTES) {
      this.memory.push(chunk);
      return;
    }
    if (!this.handle) await this.spill();
    await this.put(chunk, at);
  }

  /** The hash, and the content itself when it is small; otherwise the file holds it, not synced. */
  async finish(): Promise<{ readonly info: BlobInfo; readonly memory: Uint8Array | undefined }> {
    const info = { sha256: this.hash.digest('hex'), bytes: this.bytes };
    if (!this.handle) return { info, memory: Buffer.concat(this.memory) };
    // The last piece may have been a hole.
    await this.handle.truncate(this.bytes);
    await this.close();
    return { info, memory: undefined };
  }

  /** Called when it will not be finished. The file stays for the caller to remove. */
  async close(): Promise<void> {
    const { handle } = this;
    this.handle = undefined;
    await handle?.close();
  }

  private async spill(): Promise<void> {
    this.handle = await open(this.path, 'wx', 0o600);
    let at = 0;
    for (const piece of this.memory) {
      await this.put(piece, at);
      at += piece.length;
    }
    this.memory = [];
  }

  private async put(chunk: Uint8Array, at: number): Promise<void> {
    for (let start = 0; start < chunk.length; start += PIECE_BYTES) {
      const piece = chunk.subarray(start, start + PIECE_BYTES);
      if (isHole(piece)) continue;
      await this.claim(piece.length);
      await writeAll(this.handle!, piece, at + start);
    }
  }
}

/** A single write may take only a part, for instance when the disk is nearly full. */
export async function writeAll(handle: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  for (let offset = 0; offset < chunk.length; ) {
    const { bytesWritten } = await handle.write(chunk, offset, chunk.length - offset, position + offset);
    offset += bytesWritten;
  }
}
