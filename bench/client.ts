/** The server as a client sees it: plain HTTP on one kept-alive connection, as little in between as can be. */
import { Agent, type IncomingMessage, request } from 'node:http';
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ServerAddress } from '../test/support/server.js';

const POLL_MS = 100;
const CHUNK_BYTES = 1024 * 1024;

interface Pool {
  readonly sizes: readonly { readonly target: number; readonly warm: number; readonly starting: number }[];
  readonly bound_sandboxes: number;
  readonly sandbox_memory_bytes: number;
}

async function textOf(reply: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of reply) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

export class Client {
  private readonly agent = new Agent({ keepAlive: true });

  constructor(private readonly server: ServerAddress) {}

  close(): void {
    this.agent.destroy();
  }

  /** Asks for JSON; rejects on anything but success. */
  async ask<T>(method: string, path: string, body?: object): Promise<T> {
    const reply = await this.send(method, path, body);
    const text = await textOf(reply);
    if (reply.statusCode !== 200) throw new Error(`${method} ${path}: ${reply.statusCode} ${text}`);
    return JSON.parse(text) as T;
  }

  async newContainer(): Promise<string> {
    return (await this.ask<{ id: string }>('POST', '/v1/containers', { name: 'bench' })).id;
  }

  async deleteContainer(id: string): Promise<void> {
    await this.ask('DELETE', `/v1/containers/${id}`);
  }

  async run(containerId: string, code: string): Promise<void> {
    const path = `/v1/containers/${containerId}/executions`;
    const { status } = await this.ask<{ status: string }>('POST', path, { code });
    if (status !== 'completed') throw new Error(`an execution ended as ${status}`);
  }

  /** Runs code as a stream; milliseconds until its first output is here. */
  async firstOutput(containerId: string, code: string): Promise<number> {
    const begin = performance.now();
    const reply = await this.send('POST', `/v1/containers/${containerId}/executions`, { code, stream: true });
    let seen = '';
    let first = Number.NaN;
    for await (const chunk of reply) {
      seen += (chunk as Buffer).toString();
      if (Number.isNaN(first) && seen.includes('event: execution.output')) first = performance.now() - begin;
    }
    if (Number.isNaN(first)) throw new Error(`there was no output: ${seen}`);
    return first;
  }

  async pool(): Promise<Pool> {
    return this.ask<Pool>('GET', '/admin/v1/pool');
  }

  /** Resolves when the warm pool is full and nothing starts any more. */
  async poolIsFull(timeoutMs = 120_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const { sizes } = await this.pool();
      if (sizes.every(({ target, warm, starting }) => warm >= target && starting === 0)) return;
      if (Date.now() > deadline) throw new Error('the warm pool did not fill up');
      await sleep(POLL_MS);
    }
  }

  /** Uploads this many bytes that no disk compresses, and returns the file's id. */
  async upload(bytes: number): Promise<string> {
    const boundary = 'bench-boundary';
    const part = (name: string, extra: string) =>
      `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${extra}\r\n\r\n`;
    const head = `${part('purpose', '')}user_data\r\n${part('file', '; filename="bench.bin"')}`;
    const tail = `\r\n--${boundary}--\r\n`;
    const out = this.open('POST', '/v1/files', {
      'content-type': `multipart/form-data; boundary=${boundary}`,
      'content-length': String(head.length + bytes + tail.length),
    });
    const answer = once(out, 'response') as Promise<[IncomingMessage]>;
    out.write(head);
    const chunk = Buffer.alloc(CHUNK_BYTES, 7);
    for (let sent = 0; sent < bytes; sent += CHUNK_BYTES) {
      chunk.writeUInt32BE(sent % 0xffffffff, 0);
      if (!out.write(Buffer.from(chunk.subarray(0, Math.min(CHUNK_BYTES, bytes - sent)))))
        await once(out, 'drain');
    }
    out.end(tail);
    const [reply] = await answer;
    return (JSON.parse(await textOf(reply)) as { id: string }).id;
  }

  /** Downloads a file to nowhere; returns its size. */
  async download(fileId: string): Promise<number> {
    const reply = await this.send('GET', `/v1/files/${fileId}/content`);
    let bytes = 0;
    for await (const chunk of reply) bytes += (chunk as Buffer).length;
    return bytes;
  }

  private open(method: string, path: string, headers: Record<string, string>) {
    const key = path.startsWith('/admin/') ? this.server.adminKey : this.server.apiKey;
    return request(`${this.server.origin}${path}`, {
      method,
      agent: this.agent,
      headers: { authorization: `Bearer ${key}`, ...headers },
    });
  }

  private async send(method: string, path: string, body?: object): Promise<IncomingMessage> {
    const text = body === undefined ? '' : JSON.stringify(body);
    const headers: Record<string, string> =
      body === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) };
    const out = this.open(method, path, headers);
    out.end(text);
    const [reply] = (await once(out, 'response')) as [IncomingMessage];
    return reply;
  }
}
