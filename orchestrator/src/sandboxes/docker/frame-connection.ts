/** One connection to a supervisor: frames in both directions, calls told apart by their id. */
import type { Socket } from 'node:net';
import { SandboxError } from '../sandbox.driver.js';
import { encodeFrameHead, FrameDecoder, FrameError, type Frame, type FrameHeader } from './frame-codec.js';
import { goneError, toSandboxError } from './supervisor-errors.js';

/** Receives what belongs to one call. Exactly one of `done` and `failed` ends it. */
export interface CallSink {
  event(frame: Frame): void;
  done(header: FrameHeader): void;
  failed(error: SandboxError): void;
}

export interface Call {
  /**
   * Sends a further frame of the call. Resolves when the socket takes more, at once as a rule;
   * never rejects, since the end of the connection ends the call through its sink.
   */
  write(op: string, payload?: Buffer): Promise<void>;
}

/**
 * Ends with the socket: each open call then fails with `gone`, and so does each later one. Bytes
 * that are no frames, or replies to nothing, end the connection too.
 */
export class FrameConnection {
  private readonly socket: Socket;
  private readonly decoder = new FrameDecoder();
  private readonly calls = new Map<number, CallSink>();
  private nextId = 1;
  private end: SandboxError | undefined;
  /** Resolves when the socket has closed. */
  readonly closed: Promise<void>;

  constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.destroy();
        resolve();
      });
    });
    socket.on('data', (chunk) => this.receive(chunk));
  }

  get open(): boolean {
    return this.end === undefined;
  }

  call(op: string, fields: FrameHeader, sink: CallSink, payload?: Buffer): Call {
    const id = this.nextId++;
    if (this.end !== undefined) {
      const error = this.end;
      queueMicrotask(() => sink.failed(error));
      return { write: () => Promise.resolve() };
    }
    let head: Buffer;
    try {
      head = encodeFrameHead({ ...fields, id, op }, payload?.length);
    } catch (cause) {
      queueMicrotask(() =>
        sink.failed(new SandboxError('protocol', `"${op}" is too large to send`, { cause })),
      );
      return { write: () => Promise.resolve() };
    }
    this.calls.set(id, sink);
    void this.write(head, payload);
    return { write: (next, bytes) => this.write(encodeFrameHead({ id, op: next }, bytes?.length), bytes) };
  }

  /** A call with one reply. Past `timeoutMs` the supervisor counts as lost, and so does the connection. */
  request(op: string, fields: FrameHeader, timeoutMs: number): Promise<FrameHeader> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.destroy(goneError(`the sandbox did not answer "${op}" within ${timeoutMs} ms`));
      }, timeoutMs);
      const settle = (): void => clearTimeout(timer);
      this.call(op, fields, {
        event: () => undefined,
        done: (header) => {
          settle();
          resolve(header);
        },
        failed: (error) => {
          settle();
          reject(error);
        },
      });
    });
  }

  /** Stops reading: the supervisor's writes then wait. For receivers that are slower than it. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** Idempotent. Every open call fails with `reason`. */
  destroy(reason: SandboxError = goneError()): void {
    if (this.end !== undefined) return;
    this.end = reason;
    this.socket.destroy();
    const sinks = [...this.calls.values()];
    this.calls.clear();
    for (const sink of sinks) sink.failed(reason);
  }

  private write(head: Buffer, payload: Buffer | undefined): Promise<void> {
    if (this.end !== undefined) return Promise.resolve();
    this.socket.cork();
    let roomy = this.socket.write(head);
    if (payload !== undefined && payload.length > 0) roomy = this.socket.write(payload);
    this.socket.uncork();
    if (roomy) return Promise.resolve();
    return new Promise((resolve) => {
      const settle = (): void => {
        this.socket.off('drain', settle);
        this.socket.off('close', settle);
        resolve();
      };
      this.socket.on('drain', settle);
      this.socket.on('close', settle);
    });
  }

  private receive(chunk: Buffer): void {
    try {
      for (const frame of this.decoder.push(chunk)) {
        if (this.end !== undefined) return;
        this.dispatch(frame);
      }
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.destroy(goneError(`the sandbox broke the protocol: ${error.message}`, error));
    }
  }

  private dispatch(frame: Frame): void {
    const { id, event } = frame.header;
    const sink = typeof id === 'number' ? this.calls.get(id) : undefined;
    if (sink === undefined || typeof id !== 'number') {
      throw new FrameError('a reply that belongs to no request');
    }
    if (event === 'done' || event === 'failed') {
      this.calls.delete(id);
      if (event === 'done') sink.done(frame.header);
      else sink.failed(toSandboxError(frame.header));
      return;
    }
    sink.event(frame);
  }
}
