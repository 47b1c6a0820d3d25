/**
 * A stand-in for the supervisor: the frames of sandbox/README.md on a Unix socket, with answers
 * that a test scripts. For testing the host's side against peers that behave badly on purpose.
 */
import { mkdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { PROTOCOL } from '../../../orchestrator/src/sandboxes/docker/supervisor.schema.js';
import {
  encodeFrameHead,
  FrameDecoder,
  type Frame,
  type FrameHeader,
} from '../../../orchestrator/src/sandboxes/docker/frame-codec.js';

/** One connection of the host. */
export class Peer {
  private readonly socket: Socket;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  /** Answers `to` (a request) with an event. False: the host does not read fast enough. */
  reply(to: Frame, event: string, fields: FrameHeader = {}, payload?: Buffer): boolean {
    const head = encodeFrameHead({ id: to.header.id, event, ...fields }, payload?.length);
    this.socket.write(head);
    return payload === undefined || payload.length === 0 ? true : this.socket.write(payload);
  }

  raw(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  hangUp(): void {
    this.socket.destroy();
  }

  async drained(): Promise<void> {
    if (!this.socket.writableNeedDrain) return;
    await new Promise<void>((resolve) => {
      const settle = (): void => {
        this.socket.off('drain', settle);
        this.socket.off('close', settle);
        resolve();
      };
      this.socket.on('drain', settle);
      this.socket.on('close', settle);
    });
  }
}

export type Answer = (request: Frame, peer: Peer) => void;

export class SupervisorServer {
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  /** Answers by `op`; a request without one stays unanswered. */
  readonly answers: Record<string, Answer> = {
    ping: (request, peer) =>
      peer.reply(request, 'done', { version: PROTOCOL, kernel: 'ready', uptime_ms: 1 }),
  };
  connections = 0;

  private constructor() {
    this.server = createServer((socket) => {
      this.connections += 1;
      this.sockets.add(socket);
      const decoder = new FrameDecoder();
      const peer = new Peer(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => this.sockets.delete(socket));
      socket.on('data', (chunk) => {
        for (const frame of decoder.push(chunk)) this.answers[String(frame.header.op)]?.(frame, peer);
      });
    });
  }

  get open(): number {
    return this.sockets.size;
  }

  /** Binds `<directory>/supervisor.sock`, however long that path is. */
  static async listen(directory: string): Promise<SupervisorServer> {
    mkdirSync(directory, { recursive: true });
    const server = new SupervisorServer();
    const handle = await open(directory);
    await new Promise<void>((resolve, reject) => {
      server.server.once('error', reject);
      server.server.listen(`/proc/self/fd/${handle.fd}/supervisor.sock`, resolve);
    });
    await handle.close();
    return server;
  }

  /** Ends all connections and stops listening, like a sandbox that dies. */
  async die(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}
