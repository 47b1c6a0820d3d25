/**
 * One look every few seconds at all connections: who has stopped sending a body, and who has stopped taking
 * a reply, is cut off. Slow is legal, silent is not.
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import { ApiError } from '../common/api-error.js';

/** How many looks fall into the shorter of the two time-outs. */
const LOOKS = 4;
const LONGEST_PAUSE_MS = 5_000;

export const CUT_REASONS = ['body_stalled', 'body_late', 'reader_stalled', 'refused'] as const;
export type CutReason = (typeof CUT_REASONS)[number];

export interface WatchLimits {
  /** Milliseconds without a byte of a body that somebody waits for. */
  readonly bodyMs: number;
  /** Milliseconds in which a client takes nothing of a reply that lies ready for it. */
  readonly readerMs: number;
}

interface Body {
  readonly raw: IncomingMessage;
  /** Answers with the error when the reply has not begun; false when it has. */
  readonly refuse: (error: ApiError) => boolean;
  /** On the clock of `performance.now()`; later the body is cut off although it comes. */
  readonly untilMs: number;
  received: number;
  sinceMs: number;
}

interface Reader {
  taken: number;
  sinceMs: number;
}

/** Node keeps what libuv has not passed to the kernel on the handle, and uses it for its own time-outs. */
interface Handle {
  readonly bytesWritten?: number;
  readonly writeQueueSize?: number;
}

/** Bytes of replies that the kernel has taken; it takes no more while the client reads nothing. */
function takenOf(socket: Socket): number {
  const { _handle: handle } = socket as unknown as { readonly _handle?: Handle | null };
  if (handle?.bytesWritten === undefined || handle.writeQueueSize === undefined)
    return socket.bytesWritten - socket.writableLength;
  return handle.bytesWritten - handle.writeQueueSize;
}

const stalled = (ms: number): ApiError =>
  new ApiError(
    'request_timeout',
    `No byte of the request body came for ${Math.round(ms / 1000)} seconds. Please send the request again.`,
  );

const late = (): ApiError =>
  new ApiError(
    'request_timeout',
    'The request body took too long to arrive. Please send the request again, or upload the content as a file.',
  );

export class ConnectionWatch {
  private readonly sockets = new Set<Socket>();
  private readonly readers = new Map<Socket, Reader>();
  private readonly bodies = new Map<IncomingMessage, Body>();
  private readonly timer: NodeJS.Timeout;
  private readonly cuts = new Map<CutReason, number>(CUT_REASONS.map((reason) => [reason, 0]));

  constructor(
    private readonly limits: WatchLimits,
    private readonly now: () => number = () => performance.now(),
  ) {
    const shorter = Math.min(limits.bodyMs, limits.readerMs);
    this.timer = setInterval(() => this.look(), Math.min(LONGEST_PAUSE_MS, Math.ceil(shorter / LOOKS)));
    this.timer.unref();
  }

  /** Called once, before the server listens. */
  attach(server: Server): void {
    server.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.once('close', () => {
        this.sockets.delete(socket);
        this.readers.delete(socket);
      });
    });
    server.once('close', () => clearInterval(this.timer));
  }

  get open(): number {
    return this.sockets.size;
  }

  /** How many were cut off, by reason, since the start. */
  get cut(): ReadonlyMap<CutReason, number> {
    return this.cuts;
  }

  count(reason: CutReason): void {
    this.cuts.set(reason, (this.cuts.get(reason) ?? 0) + 1);
  }

  /** Watches a body from now until it is complete; `longestMs` bounds all of it. */
  expectBody(raw: IncomingMessage, refuse: (error: ApiError) => boolean, longestMs = Infinity): void {
    const sinceMs = this.now();
    const body = { raw, refuse, untilMs: sinceMs + longestMs, received: raw.socket.bytesRead, sinceMs };
    this.bodies.set(raw, body);
    const done = () => this.bodies.delete(raw);
    raw.once('end', done).once('close', done);
  }

  /** Called by the timer, and by tests. */
  look(): void {
    const nowMs = this.now();
    for (const body of this.bodies.values()) this.lookAtBody(body, nowMs);
    for (const socket of this.sockets) this.lookAtReader(socket, nowMs);
  }

  private lookAtBody(body: Body, nowMs: number): void {
    const { bytesRead } = body.raw.socket;
    if (nowMs > body.untilMs) {
      this.cutBody(body, 'body_late', late());
    } else if (bytesRead !== body.received || body.raw.readableLength > 0) {
      // It comes, or lies here because we are the slow ones.
      body.received = bytesRead;
      body.sinceMs = nowMs;
    } else if (nowMs - body.sinceMs >= this.limits.bodyMs) {
      this.cutBody(body, 'body_stalled', stalled(this.limits.bodyMs));
    }
  }

  private cutBody(body: Body, reason: CutReason, error: ApiError): void {
    this.bodies.delete(body.raw);
    this.count(reason);
    if (!body.refuse(error)) body.raw.socket.destroy();
  }

  private lookAtReader(socket: Socket, nowMs: number): void {
    if (socket.writableLength === 0) {
      this.readers.delete(socket);
      return;
    }
    const taken = takenOf(socket);
    const before = this.readers.get(socket);
    if (before?.taken !== taken) {
      this.readers.set(socket, { taken, sinceMs: nowMs });
    } else if (nowMs - before.sinceMs >= this.limits.readerMs) {
      this.count('reader_stalled');
      socket.destroy();
    }
  }
}
