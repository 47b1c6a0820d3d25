/** Moves one file over a connection of its own, so that a slow peer stalls nobody else. */
import { Readable } from 'node:stream';
import { SandboxError, type FileEntry, type OpenedFile, type ReadOptions } from '../sandbox.driver.js';
import type { CallSink, FrameConnection } from './frame-connection.js';
import { MAX_PAYLOAD_BYTES, type Frame, type FrameHeader } from './frame-codec.js';
import { goneError } from './supervisor-errors.js';
import { dataEvent, fileReply, openedEvent, parse, type FileReply } from './supervisor.schema.js';

/** Without any progress of the supervisor for this long, the sandbox counts as lost. */
const IDLE_TIMEOUT_MS = 60_000;
/** Small pieces of a source are joined up to this size, since each frame costs the guest a few calls. */
const JOIN_BYTES = 262_144;

/** Ends `connection` when the supervisor owes progress for too long. A slow peer of ours never counts. */
class ProgressTimer {
  private readonly timer: NodeJS.Timeout;
  private isOwed = true;

  constructor(connection: FrameConnection, transfer: string) {
    this.timer = setTimeout(() => {
      if (this.isOwed) connection.destroy(goneError(`${transfer} made no progress`));
      else this.timer.refresh();
    }, IDLE_TIMEOUT_MS);
  }

  /** From now on the supervisor must do something within the timeout. */
  owed(): void {
    this.isOwed = true;
    this.timer.refresh();
  }

  /** From now on it is somebody else's turn. */
  settled(): void {
    this.isOwed = false;
  }

  stop(): void {
    clearTimeout(this.timer);
  }
}

export function toFileEntry(file: FileReply): FileEntry {
  return {
    path: file.path,
    bytes: file.bytes,
    modifiedAtMs: file.mtime_ms,
    ...(file.stamp === undefined ? {} : { stamp: file.stamp }),
    ...(file.stored_bytes === undefined ? {} : { storedBytes: file.stored_bytes }),
    ...(file.identity === undefined ? {} : { identity: file.identity }),
  };
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
  private readonly content: Readable;

  constructor(content: Readable) {
    this.content = content;
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
    this.content.destroy(error);
  }
}

/**
 * Sends `content` as the file `path`. Rejects with the supervisor's refusal, or with the source's own
 * error; in both cases the sandbox keeps nothing of it. The source is consumed or destroyed. After
 * a success the connection can take another call; otherwise its owner ends it.
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
  }
}

/** What blocks of zeros are made of; never written to. */
const ZEROS = Buffer.alloc(JOIN_BYTES);

/**
 * Yields what arrives, and stops reading from the supervisor while nobody takes it. Does not end the
 * connection: see {@link complete}.
 */
export class DownloadStream extends Readable implements CallSink {
  readonly opened = Promise.withResolvers<FileEntry>();
  /** The supervisor has said its last word: the connection can take another call. */
  complete = false;
  private readonly path: string;
  private readonly maxBytes: number;
  private readonly connection: FrameConnection;
  private readonly progress: ProgressTimer;
  private missing = 0;
  /** What has arrived and was not passed on yet, in order: bytes, or how many zeros. */
  private readonly held: (Buffer | number)[] = [];

  constructor(connection: FrameConnection, path: string, options: ReadOptions) {
    super({ highWaterMark: MAX_PAYLOAD_BYTES });
    this.path = path;
    this.maxBytes = options.maxBytes ?? Number.MAX_SAFE_INTEGER;
    this.connection = connection;
    this.progress = new ProgressTimer(connection, 'a download from the sandbox');
    this.opened.promise.catch(() => undefined);
    // Whoever reads hears of it; nobody else needs to.
    this.on('error', () => undefined);
    const limit = options.maxBytes === undefined ? {} : { max_bytes: options.maxBytes };
    connection.call('get', { path, ...limit }, this);
    // The file before it may have left the connection waiting.
    connection.resume();
  }

  override _read(): void {
    if (!this.passOn() || this.complete) return;
    this.progress.owed();
    this.connection.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.progress.stop();
    callback(error);
  }

  event(frame: Frame): void {
    this.progress.owed();
    try {
      if (frame.header.event === 'opened') this.open(frame.header);
      else this.data(frame);
    } catch (error) {
      this.fail(error as SandboxError);
    }
  }

  done(_header: FrameHeader): void {
    this.finish();
    if (this.held.length === 0) this.end();
  }

  failed(error: SandboxError): void {
    this.finish();
    this.fail(error);
  }

  private open(header: FrameHeader): void {
    const entry = toFileEntry({ ...parse(openedEvent, header), path: this.path });
    if (entry.bytes > this.maxBytes) {
      throw new SandboxError('too_large', `the file has more than ${this.maxBytes} bytes`);
    }
    this.missing = entry.bytes;
    this.opened.resolve(entry);
  }

  private data(frame: Frame): void {
    for (const piece of frame.pieces) this.hold(piece.subarray(0, this.missing));
    this.hold(Math.min(parse(dataEvent, frame.header).zeros, this.missing));
    if (this.passOn()) return;
    this.progress.settled();
    this.connection.pause();
  }

  private hold(data: Buffer | number): void {
    const bytes = typeof data === 'number' ? data : data.length;
    this.missing -= bytes;
    if (bytes > 0) this.held.push(data);
  }

  /** False: the reader has enough for now. */
  private passOn(): boolean {
    for (;;) {
      const next = this.held.shift();
      if (next === undefined) return true;
      const piece = typeof next === 'number' ? ZEROS.subarray(0, next) : next;
      if (typeof next === 'number' && next > piece.length) this.held.unshift(next - piece.length);
      const roomy = this.push(piece);
      if (this.held.length === 0 && this.complete) this.end();
      if (!roomy) return false;
    }
  }

  private end(): void {
    if (this.missing === 0) this.push(null);
    else this.fail(new SandboxError('protocol', 'the supervisor sent less than the file has'));
  }

  private finish(): void {
    this.complete = true;
    this.progress.stop();
  }

  private fail(error: SandboxError): void {
    this.opened.reject(error);
    this.destroy(error);
  }
}

/** Opens the file `path`. The connection lives as long as the stream, which its owner must end. */
export async function getFile(
  connection: FrameConnection,
  path: string,
  options: ReadOptions,
): Promise<OpenedFile> {
  const content = new DownloadStream(connection, path, options);
  content.once('close', () => connection.destroy());
  const { bytes } = await content.opened.promise;
  return { bytes, content };
}
