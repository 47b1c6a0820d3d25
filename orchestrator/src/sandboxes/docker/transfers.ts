/** Moves one file over a connection of its own, so that a slow peer stalls nobody else. */
import { Readable } from 'node:stream';
import { SandboxError, type FileEntry } from '../sandbox.driver.js';
import type { CallSink, FrameConnection } from './frame-connection.js';
import { MAX_PAYLOAD_BYTES, type Frame, type FrameHeader } from './frame-codec.js';
import { goneError } from './supervisor-errors.js';
import { fileReply, openedEvent, parse } from './supervisor.schema.js';

/** Without any progress of the supervisor for this long, the sandbox counts as lost. */
const IDLE_TIMEOUT_MS = 60_000;
/** Small pieces of a source are joined up to this size, since each frame costs the guest a few calls. */
const JOIN_BYTES = 262_144;

/** Ends `connection` when the supervisor owes progress for too long. A slow peer of ours never counts. */
class ProgressTimer {
  readonly #timer: NodeJS.Timeout;
  #owed = true;

  constructor(connection: FrameConnection, transfer: string) {
    this.#timer = setTimeout(() => {
      if (this.#owed) connection.destroy(goneError(`${transfer} made no progress`));
      else this.#timer.refresh();
    }, IDLE_TIMEOUT_MS);
  }

  /** From now on the supervisor must do something within the timeout. */
  owed(): void {
    this.#owed = true;
    this.#timer.refresh();
  }

  /** From now on it is somebody else's turn. */
  settled(): void {
    this.#owed = false;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

export function toFileEntry(header: { path: string; bytes: number; mtime_ms: number }): FileEntry {
  return { path: header.path, bytes: header.bytes, modifiedAtMs: header.mtime_ms };
}

/** Joins small chunks and cuts large ones, so that frames are 256 KiB … 1 MiB but for the last. */
async function* toPayloads(content: Readable): AsyncGenerator<Buffer> {
  let held: Buffer[] = [];
  let heldBytes = 0;
  for await (const piece of content as AsyncIterable<Buffer | string>) {
    const chunk = typeof piece === 'string' ? Buffer.from(piece) : piece;
    held.push(chunk);
    heldBytes += chunk.length;
    if (heldBytes < JOIN_BYTES) continue;
    const joined = held.length === 1 ? chunk : Buffer.concat(held, heldBytes);
    held = [];
    heldBytes = 0;
    for (let at = 0; at < joined.length; at += MAX_PAYLOAD_BYTES) {
      yield joined.subarray(at, at + MAX_PAYLOAD_BYTES);
    }
  }
  if (heldBytes > 0) yield Buffer.concat(held, heldBytes);
}

/** The supervisor's side of an upload: promises of its two answers. */
class UploadSink implements CallSink {
  readonly ready = Promise.withResolvers<void>();
  readonly stored = Promise.withResolvers<FileEntry>();
  over = false;
  readonly #content: Readable;

  constructor(content: Readable) {
    this.#content = content;
    this.ready.promise.catch(() => undefined);
    this.stored.promise.catch(() => undefined);
  }

  event(frame: Frame): void {
    if (frame.header.event === 'ready') this.ready.resolve();
  }

  done(header: FrameHeader): void {
    try {
      this.stored.resolve(toFileEntry(parse(fileReply, header)));
      this.over = true;
    } catch (error) {
      this.failed(error as SandboxError);
    }
  }

  /** Also wakes up whoever waits for more of the source. */
  failed(error: SandboxError): void {
    this.over = true;
    this.ready.reject(error);
    this.stored.reject(error);
    this.#content.destroy(error);
  }
}

/**
 * Sends `content` as the file `path`. Rejects with the supervisor's refusal, or with the source's own
 * error; in both cases the sandbox keeps nothing of it. The source is consumed or destroyed.
 */
export async function putFile(
  connection: FrameConnection,
  path: string,
  content: Readable,
): Promise<FileEntry> {
  // A source that fails while nobody reads it would bring the process down.
  content.on('error', () => undefined);
  const progress = new ProgressTimer(connection, 'an upload into the sandbox');
  const sink = new UploadSink(content);
  const call = connection.call('put', { path }, sink);
  try {
    await sink.ready.promise;
    progress.settled();
    for await (const payload of toPayloads(content)) {
      progress.owed();
      await call.write('data', payload);
      progress.settled();
    }
    progress.owed();
    if (!sink.over) await call.write('end');
    return await sink.stored.promise;
  } catch (error) {
    if (!sink.over) await call.write('abort');
    throw error;
  } finally {
    progress.stop();
    content.destroy();
    connection.destroy();
  }
}

/** Yields what arrives, and stops reading from the supervisor while nobody takes it. */
class DownloadStream extends Readable implements CallSink {
  readonly opened = Promise.withResolvers<number>();
  readonly #connection: FrameConnection;
  readonly #progress: ProgressTimer;
  #missing = 0;

  constructor(connection: FrameConnection) {
    super({ highWaterMark: MAX_PAYLOAD_BYTES });
    this.#connection = connection;
    this.#progress = new ProgressTimer(connection, 'a download from the sandbox');
    this.opened.promise.catch(() => undefined);
  }

  override _read(): void {
    this.#progress.owed();
    this.#connection.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#progress.stop();
    this.#connection.destroy();
    callback(error);
  }

  event(frame: Frame): void {
    this.#progress.owed();
    if (frame.header.event === 'opened') {
      try {
        this.#missing = parse(openedEvent, frame.header).bytes;
        this.opened.resolve(this.#missing);
      } catch (error) {
        this.failed(error as SandboxError);
      }
      return;
    }
    for (const piece of frame.pieces) {
      const wanted = piece.subarray(0, this.#missing);
      this.#missing -= wanted.length;
      if (wanted.length === 0 || this.push(wanted)) continue;
      this.#progress.settled();
      this.#connection.pause();
    }
  }

  done(_header: FrameHeader): void {
    this.push(null);
  }

  failed(error: SandboxError): void {
    this.opened.reject(error);
    this.destroy(error);
  }
}

/** Opens the file `path`. The connection lives as long as the stream, which its owner must end. */
export async function getFile(
  connection: FrameConnection,
  path: string,
): Promise<{ readonly bytes: number; readonly content: Readable }> {
  const content = new DownloadStream(connection);
  connection.call('get', { path }, content);
  content.on('error', () => undefined);
  const bytes = await content.opened.promise;
  return { bytes, content };
}
