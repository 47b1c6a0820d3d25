/**
 * Somebody who is called by webhooks, for tests: a real HTTP server that writes down what it gets and
 * misbehaves on demand. Each path has a script of its own; without one it takes everything with 200.
 */
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Behaviour =
  | { readonly status: number; readonly body?: string; readonly headers?: Readonly<Record<string, string>> }
  /** Says nothing until it is asked to go on, or for ever. */
  | 'silent'
  /** Closes the connection without an answer. */
  | 'hang-up'
  /** 200, and then an answer without end. */
  | 'flood'
  /** 200, and then nothing more. */
  | 'stall';

export interface Call {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** As it came, for signatures. */
  readonly body: string;
  readonly at: number;
}

interface Waiter {
  readonly wanted: () => boolean;
  readonly done: () => void;
}

const FLOOD = 'x'.repeat(64 * 1024);

export class WebhookReceiver {
  readonly calls: Call[] = [];
  /** Most calls that were open at the same time. */
  mostAtOnce = 0;
  /** Bytes of floods that went out. */
  flooded = 0;
  private open = 0;
  private readonly scripts = new Map<string, Behaviour[]>();
  private readonly silent = new Set<ServerResponse>();
  private waiters: Waiter[] = [];
  private readonly server: Server = createServer((request, reply) => {
    const chunks: Buffer[] = [];
    this.open += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.open);
    reply.on('close', () => (this.open -= 1));
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const path = request.url ?? '/';
      const body = Buffer.concat(chunks).toString('utf8');
      this.calls.push({ path, headers: request.headers, body, at: Date.now() });
      this.behave(this.scripts.get(path)?.shift() ?? { status: 200 }, reply);
      this.notify();
    });
  });

  async start(host = '127.0.0.1'): Promise<void> {
    await new Promise<void>((done) => void this.server.listen(0, host, done));
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((done) => void this.server.close(done));
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  /** What the next calls of a path meet, in order; those after them are taken. */
  script(path: string, ...behaviours: Behaviour[]): void {
    this.scripts.set(path, behaviours);
  }

  at(path: string): Call[] {
    return this.calls.filter((call) => call.path === path);
  }

  /** Resolves when a path was called so often; rejects after `timeoutMs`. */
  async called(path: string, times = 1, timeoutMs = 20_000): Promise<Call[]> {
    const wanted = () => this.at(path).length >= times;
    if (!wanted()) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      const timer = setTimeout(
        () => reject(new Error(`${path} was called ${this.at(path).length} times, not ${times}`)),
        timeoutMs,
      );
      this.waiters.push({ wanted, done: resolve });
      await promise.finally(() => clearTimeout(timer));
    }
    return this.at(path);
  }

  /** Answers whoever was left in silence. */
  release(status = 200): void {
    for (const reply of this.silent) reply.writeHead(status).end();
    this.silent.clear();
  }

  private behave(behaviour: Behaviour, reply: ServerResponse): void {
    switch (behaviour) {
      case 'silent':
        this.silent.add(reply);
        reply.on('close', () => this.silent.delete(reply));
        return;
      case 'hang-up':
        reply.destroy();
        return;
      case 'stall':
        reply.writeHead(200).write('beginning');
        return;
      case 'flood':
        reply.writeHead(200);
        this.flood(reply);
        return;
      default:
        reply.writeHead(behaviour.status, behaviour.headers).end(behaviour.body ?? '');
    }
  }

  private flood(reply: ServerResponse): void {
    while (!reply.destroyed) {
      this.flooded += FLOOD.length;
      if (!reply.write(FLOOD)) {
        reply.once('drain', () => this.flood(reply));
        return;
      }
    }
  }

  private notify(): void {
    for (const { wanted, done } of this.waiters) if (wanted()) done();
    this.waiters = this.waiters.filter(({ wanted }) => !wanted());
  }
}
