/** Large bodies: constant memory, clear refusals, nothing left behind (docs/contract/robustness.md). */
import { execFile } from 'node:child_process';
import { readdir, readlink } from 'node:fs/promises';
import { Agent, type ClientRequest, type IncomingMessage, request as httpRequest } from 'node:http';
import { createConnection, type Socket } from 'node:net';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import OpenAI7 from 'openai';
import OpenAI4 from 'openai-v4';
import OpenAI6 from 'openai-v6';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FilesApp, startFilesApp } from './files-app.js';

const MIB = 1024 * 1024;
/** The disk may be busy with the work of others. */
const PATIENT = { timeout: 30_000 };

let files: FilesApp;
beforeAll(async () => {
  files = await startFilesApp();
});
afterAll(() => files.stop());

const staged = (): Promise<string[]> => readdir(join(files.blobDir, 'staging'));

/** The server lives in this process, the client in another: what grows here is the server. */
async function peakGrowthWhile<T>(work: () => Promise<T>): Promise<{ result: T; growthMiB: number }> {
  const before = process.memoryUsage().rss;
  let peak = before;
  const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 20);
  try {
    return { result: await work(), growthMiB: (peak - before) / MIB };
  } finally {
    clearInterval(timer);
  }
}

async function transfer(bytes: number) {
  const script = fileURLToPath(new URL('transfer-client.mjs', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [
    script,
    files.baseURL,
    files.keys.first,
    String(bytes),
  ]);
  return JSON.parse(stdout) as { bytes: number; equal: boolean; uploadMs: number; downloadMs: number };
}

describe('a large file', () => {
  it('passes through without growing the server', { timeout: 300_000 }, async () => {
    await transfer(8 * MIB);
    const bytes = 512 * MIB;
    const { result, growthMiB } = await peakGrowthWhile(() => transfer(bytes));
    const rate = (ms: number) => Math.round(bytes / MIB / (ms / 1000));
    process.stdout.write(
      `512 MiB: upload ${rate(result.uploadMs)} MiB/s, download ${rate(result.downloadMs)} MiB/s, server grew by ${Math.round(growthMiB)} MiB\n`,
    );
    expect(result).toMatchObject({ bytes, equal: true });
    expect(growthMiB).toBeLessThan(100);
  });
});

const BOUNDARY = 'large-body';
const HEAD = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="big.bin"\r\n\r\n`;
const TAIL = `\r\n--${BOUNDARY}--\r\n`;
const CHUNK = Buffer.alloc(MIB, 120);

function open(
  agent: Agent,
  method: string,
  path: string,
  headers: Record<string, string> = {},
): ClientRequest {
  return httpRequest(`${files.baseURL}${path}`, {
    agent,
    method,
    headers: { authorization: `Bearer ${files.keys.first}`, ...headers },
  });
}

const MULTIPART = { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` };

const answerOf = (request: ClientRequest): Promise<{ status: number; body: unknown }> =>
  new Promise((resolve, reject) => {
    request.once('error', reject);
    request.once('response', (response: IncomingMessage) => {
      json(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
    });
  });

/** A client that sends its whole request before it reads, and uses one connection for everything. */
class PlainConnection {
  private received = '';
  private readonly socket: Socket;

  constructor() {
    const { port, hostname } = new URL(files.baseURL);
    this.socket = createConnection({ port: Number(port), host: hostname });
    this.socket.setNoDelay(true).on('data', (chunk: Buffer) => (this.received += chunk.toString()));
  }

  async send(piece: Buffer | string): Promise<void> {
    if (!this.socket.write(piece)) await new Promise((resolve) => this.socket.once('drain', resolve));
  }

  async head(method: string, path: string, headers: Readonly<Record<string, string>> = {}): Promise<void> {
    const all = { host: 'x', authorization: `Bearer ${files.keys.first}`, ...headers };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
    await this.send(`${method} /v1${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
  }

  /** Status lines seen so far. */
  get statuses(): string[] {
    return [...this.received.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1]!);
  }

  get text(): string {
    return this.received;
  }

  close(): void {
    this.socket.destroy();
  }
}

describe('a file of 600 MiB', { timeout: 300_000 }, () => {
  it.each([
    ['with Content-Length', { 'content-length': String(HEAD.length + 600 * MIB + TAIL.length) }],
    ['of unknown length', { 'transfer-encoding': 'chunked' }],
  ])('%s is refused, and the connection goes on', async (_name, framing) => {
    const chunked = 'transfer-encoding' in framing;
    const connection = new PlainConnection();
    const send = async (data: Buffer | string) => {
      if (chunked) await connection.send(`${data.length.toString(16)}\r\n`);
      await connection.send(data);
      if (chunked) await connection.send('\r\n');
    };
    await connection.head('POST', '/files', { ...MULTIPART, ...framing });
    await send(HEAD);
    for (let index = 0; index < 600; index += 1) await send(CHUNK);
    await send(TAIL);
    if (chunked) await connection.send('0\r\n\r\n');
    await connection.head('GET', '/files?limit=1');
    await expect.poll(() => connection.statuses, PATIENT).toEqual(['413', '200']);
    expect(connection.text).toContain(
      '{"error":{"message":"The file is larger than the 536870912 bytes this server accepts here.","type":"invalid_request_error","param":"file","code":"file_too_large"}}',
    );
    expect(await staged()).toEqual([]);
    connection.close();
  });

  const clients = [
    ['7', OpenAI7],
    ['6', OpenAI6 as unknown as typeof OpenAI7],
    ['4', OpenAI4 as unknown as typeof OpenAI7],
  ] as const;
  it.each(clients)('is refused in words openai %s shows', async (_version, Client) => {
    const client = new Client({ baseURL: files.baseURL, apiKey: files.keys.first, maxRetries: 0 });
    const file = new File(
      Array.from({ length: 600 }, () => CHUNK),
      'big.bin',
    );
    const error = await client.files
      .create({ file, purpose: 'user_data' })
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ status: 413, code: 'file_too_large', param: 'file' });
    expect(Array.isArray((await client.files.list({ limit: 1 })).data)).toBe(true);
  });
});

describe('a client that goes away', () => {
  it('leaves nothing behind in the middle of an upload', async () => {
    const agent = new Agent();
    const upload = open(agent, 'POST', '/files', { ...MULTIPART, 'transfer-encoding': 'chunked' });
    upload.on('error', () => undefined);
    upload.write(HEAD);
    for (let index = 0; index < 20; index += 1) upload.write(CHUNK);
    await expect.poll(async () => (await staged()).length, PATIENT).toBe(1);
    upload.destroy();
    await expect.poll(staged, PATIENT).toEqual([]);
  });

  it('leaves nothing behind in the middle of a download', { timeout: 120_000 }, async () => {
    const { bytes } = await transfer(64 * MIB);
    expect(bytes).toBe(64 * MIB);
    const [file] = await files.prisma.file.findMany({ orderBy: { seq: 'desc' }, take: 1 });
    const openFiles = async () => {
      const links = await readdir('/proc/self/fd');
      const targets = await Promise.all(
        links.map((link) => readlink(`/proc/self/fd/${link}`).catch(() => '')),
      );
      return targets.filter((target) => target.startsWith(join(files.blobDir, 'blobs')));
    };
    const agent = new Agent();
    const download = open(agent, 'GET', `/files/${file!.id}/content`);
    download.end();
    const response = await new Promise<IncomingMessage>((resolve) => download.once('response', resolve));
    response.once('data', () => response.pause());
    await sleep(100);
    expect(await openFiles()).toHaveLength(1);
    response.destroy();
    await expect.poll(openFiles, PATIENT).toEqual([]);
  });

  it('many at once, half of them broken off', async () => {
    const before = await files.prisma.file.count();
    await Promise.all(
      Array.from({ length: 16 }, async (_, index) => {
        const upload = open(new Agent(), 'POST', '/files', { ...MULTIPART, 'transfer-encoding': 'chunked' });
        const answer = answerOf(upload).catch(() => null);
        upload.write(HEAD);
        for (let sent = 0; sent < 4; sent += 1) upload.write(CHUNK);
        await sleep(10 * index);
        if (index % 2 === 0) upload.destroy();
        else
          upload.end(
            `\r\n--${BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data${TAIL}`,
          );
        await answer;
      }),
    );
    await expect.poll(staged, PATIENT).toEqual([]);
    expect(await files.prisma.file.count()).toBe(before + 8);
  });
});
