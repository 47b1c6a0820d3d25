/** The multipart reader behind a real Fastify on a real socket, with bodies written by hand. */
import { createConnection, type AddressInfo } from 'node:net';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import multipart from '@fastify/multipart';
import fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiError } from '../../../orchestrator/src/common/api-error.js';
import {
  MULTIPART_PLUGIN_OPTIONS,
  readFileUpload,
  readMultipart,
} from '../../../orchestrator/src/common/multipart.js';

const MAX_FILE_BYTES = 1_000;

let app: FastifyInstance;
let port: number;
let sourceFailures: unknown[] = [];

async function store(content: Readable): Promise<{ sha256: string }> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of content as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > MAX_FILE_BYTES) throw new ApiError('file_too_large', 'too large');
      chunks.push(chunk);
    }
  } catch (error) {
    sourceFailures.push(error);
    await sleep(5);
    throw error;
  }
  const text = Buffer.concat(chunks).toString();
  if (text === 'break the store') throw new Error('disk on fire');
  return { sha256: text };
}

beforeAll(async () => {
  app = fastify();
  await app.register(multipart, MULTIPART_PLUGIN_OPTIONS);
  app.setErrorHandler((error, _request, reply) => {
    const known = error instanceof ApiError;
    void reply.status(known ? error.status : 500).send(known ? error.toEnvelope() : { error: 'unexpected' });
  });
  const options = { fileField: 'file', maxFileBytes: MAX_FILE_BYTES, store };
  app.post('/optional', (request) => readMultipart(request, options));
  app.post('/required', (request) => readFileUpload(request, options));
  const late = async (content: Readable) => (await sleep(30), store(content));
  app.post('/late', (request) => readFileUpload(request, { ...options, store: late }));
  await app.listen({ port: 0, host: '127.0.0.1' });
  port = (app.server.address() as AddressInfo).port;
});
afterAll(() => app.close());

interface Part {
  readonly name?: string;
  readonly filename?: string;
  readonly type?: string;
  readonly body: string | Buffer;
}

const BOUNDARY = 'x-boundary-x';

function form(parts: readonly Part[], end = `--${BOUNDARY}--\r\n`): Buffer {
  const pieces = parts.map(({ name, filename, type, body }) => {
    const disposition = [
      'form-data',
      ...(name === undefined ? [] : [`name="${name}"`]),
      ...(filename === undefined ? [] : [`filename="${filename}"`]),
    ].join('; ');
    const typeLine = type === undefined ? '' : `Content-Type: ${type}\r\n`;
    const head = `--${BOUNDARY}\r\nContent-Disposition: ${disposition}\r\n${typeLine}\r\n`;
    return Buffer.concat([Buffer.from(head), Buffer.from(body), Buffer.from('\r\n')]);
  });
  return Buffer.concat([...pieces, Buffer.from(end)]);
}

async function post(path: string, body: Buffer, contentType = `multipart/form-data; boundary=${BOUNDARY}`) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: 'POST',
    headers: { 'content-type': contentType },
    body: new Uint8Array(body),
  });
  return { status: response.status, body: (await response.json()) as { error?: object } };
}

const FILE: Part = { name: 'file', filename: 'a.csv', type: 'text/csv', body: 'a,b\n1,2\n' };

describe('readMultipart', () => {
  it.each([
    ['before', [{ name: 'purpose', body: 'user_data' }, FILE]],
    ['after', [FILE, { name: 'purpose', body: 'user_data' }]],
  ] as [string, Part[]][])('reads text %s the file', async (_, parts) => {
    expect(await post('/required', form(parts))).toEqual({
      status: 200,
      body: {
        fields: { purpose: 'user_data' },
        file: { fileName: 'a.csv', mimeType: 'text/csv', stored: { sha256: FILE.body } },
      },
    });
  });

  it('reads a body with text only', async () => {
    const { status, body } = await post('/optional', form([{ name: 'file_id', body: 'file-1' }]));
    expect({ status, body }).toEqual({ status: 200, body: { fields: { file_id: 'file-1' }, file: null } });
  });

  it.each(['/required', '/late'])('%s says that a body ended too early', async (path) => {
    const { status, body } = await post(path, form([FILE], ''));
    expect({ status, body }).toMatchObject({ status: 400, body: { error: { code: 'invalid_upload' } } });
  });

  it.each([
    ['données été.csv', 'données été.csv'],
    ['dir/x y.csv', 'x y.csv'],
    ['../../etc/passwd', 'passwd'],
    ['..', 'file'],
  ])('makes the name %j %j', async (sent, seen) => {
    const { body } = await post('/required', form([{ ...FILE, filename: sent }]));
    expect(body).toMatchObject({ file: { fileName: seen } });
  });

  it('takes a nameless octet stream as a file, and empty files', async () => {
    const nameless = await post(
      '/required',
      form([{ name: 'file', type: 'application/octet-stream', body: 'x' }]),
    );
    expect(nameless.body).toMatchObject({ file: { fileName: 'file', stored: { sha256: 'x' } } });
    const empty = await post(
      '/required',
      form([
        { ...FILE, body: '' },
        { name: 'purpose', body: '' },
      ]),
    );
    expect(empty.body).toMatchObject({ file: { stored: { sha256: '' } }, fields: { purpose: '' } });
  });

  it('takes line ends and text after the end', async () => {
    expect((await post('/required', form([FILE], `--${BOUNDARY}--\r\n\r\n\r\nbye`))).status).toBe(200);
  });

  it('reads JSON parts', async () => {
    const json = { name: 'expires_after', type: 'application/json', body: '{"seconds":3600}' };
    expect((await post('/required', form([FILE, json]))).body).toMatchObject({
      fields: { expires_after: { seconds: 3600 } },
    });
  });

  it.each([
    ['no file', form([{ name: 'purpose', body: 'x' }]), 'missing_required_parameter', 'file'],
    ['an empty form', form([]), 'missing_required_parameter', 'file'],
    ['two files', form([FILE, FILE]), 'invalid_value', 'file'],
    ['a file of another name', form([{ ...FILE, name: 'upload' }]), 'unknown_parameter', 'upload'],
    ['a file sent as text', form([{ name: 'file', body: 'a,b' }]), 'invalid_type', 'file'],
    [
      'the same text twice',
      form([{ name: 'a', body: '1' }, { name: 'a', body: '2' }, FILE]),
      'invalid_value',
      'a',
    ],
    ['a huge text', form([{ name: 'a', body: 'x'.repeat(70_000) }, FILE]), 'string_above_max_length', 'a'],
    ['a huge name', form([{ name: 'n'.repeat(200), body: '1' }, FILE]), 'invalid_upload', null],
    ['a prototype name', form([{ name: '__proto__', body: '1' }, FILE]), 'invalid_upload', null],
    [
      'a prototype key',
      form([{ name: 'a[__proto__][b]', body: '1' }, FILE]),
      'unknown_parameter',
      'a[__proto__][b]',
    ],
    [
      'many fields',
      form([...Array.from({ length: 40 }, (_, i) => ({ name: `f${i}`, body: '' })), FILE]),
      'invalid_upload',
      null,
    ],
    [
      'many parts',
      form(Array.from({ length: 2_000 }, (_, i) => ({ name: `f${i}`, body: '' }))),
      'invalid_upload',
      null,
    ],
    ['bad JSON', form([FILE, { name: 'a', type: 'application/json', body: '{' }]), 'invalid_upload', null],
    ['a cut body', form([FILE]).subarray(0, -20), 'invalid_upload', null],
    [
      'a body cut in the file',
      form([{ ...FILE, body: 'x'.repeat(500) }]).subarray(0, 300),
      'invalid_upload',
      null,
    ],
    ['no boundary in the body', Buffer.from('hello'), 'invalid_upload', null],
    ['a truncated head', Buffer.from(`--${BOUNDARY}\r\nContent-Dispo`), 'invalid_upload', null],
  ])('answers %s with 400', async (_, body, code, param) => {
    const { status, body: answer } = await post('/required', body);
    expect({ status, ...answer.error }).toMatchObject({ status: 400, code, param });
  });

  it('answers a missing boundary and other content types', async () => {
    expect(await post('/required', form([FILE]), 'multipart/form-data')).toMatchObject({ status: 400 });
    expect((await post('/required', Buffer.from('{}'), 'application/json')).status).toBe(415);
  });

  it('answers a part without a name, and an empty body', async () => {
    expect((await post('/required', form([{ filename: 'a.csv', body: 'x' }]))).status).toBe(400);
    expect((await post('/required', Buffer.alloc(0))).status).toBe(400);
  });

  it('refuses a file that is too large while it arrives', async () => {
    const { status, body } = await post('/required', form([{ ...FILE, body: 'x'.repeat(500_000) }]));
    expect({ status, ...body.error }).toMatchObject({
      status: 413,
      code: 'file_too_large',
      param: 'file',
    });
  });

  it('refuses by Content-Length before reading', async () => {
    const { status } = await post('/required', form([{ ...FILE, body: 'x'.repeat(5_000_000) }]));
    expect(status).toBe(413);
  });

  it('passes failures of the store through', async () => {
    expect((await post('/required', form([{ ...FILE, body: 'break the store' }]))).status).toBe(500);
  });
});

const STATUS = /HTTP\/1\.1 \d+/g;

/** Sends pieces over one connection, waits for as many answers, hangs up, and returns what came. */
async function raw(pieces: readonly (Buffer | string)[], answers: number): Promise<string> {
  const socket = createConnection({ port, host: '127.0.0.1' });
  let received = '';
  socket.on('data', (chunk: Buffer) => (received += chunk.toString()));
  for (const piece of pieces) {
    await new Promise((resolve) => socket.write(piece, resolve));
    await sleep(20);
  }
  await expect.poll(() => received.match(STATUS)?.length ?? 0, { timeout: 4_000 }).toBe(answers);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.destroy();
  await closed;
  return received;
}

const head = (length: number): string =>
  `POST /required HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=${BOUNDARY}\r\nContent-Length: ${length}\r\n\r\n`;

describe('the connection', () => {
  it('is usable after a refused body', async () => {
    const tooLarge = form([{ ...FILE, body: Buffer.alloc(5_000_000, 120) }]);
    const fine = form([FILE]);
    const answer = await raw([head(tooLarge.length), tooLarge, head(fine.length), fine], 2);
    expect(answer.match(STATUS)).toEqual(['HTTP/1.1 413', 'HTTP/1.1 200']);
  });

  it('is usable after a body with a wrong part', async () => {
    const wrong = form([
      { name: 'file', body: 'text' },
      { ...FILE, name: 'other', body: 'x'.repeat(300_000) },
    ]);
    const fine = form([FILE]);
    const answer = await raw([head(wrong.length), wrong, head(fine.length), fine], 2);
    expect(answer.match(STATUS)).toEqual(['HTTP/1.1 400', 'HTTP/1.1 200']);
  });

  it('gets its answer while the body still comes', async () => {
    const answer = await raw(
      [head(50_000_000), form([{ ...FILE, body: 'x'.repeat(9_000) }]).subarray(0, 8_000)],
      1,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 413/);
  });

  it('tells the store when the client goes away', async () => {
    sourceFailures = [];
    const body = form([{ ...FILE, body: 'x'.repeat(900) }]);
    await raw([head(body.length), body.subarray(0, 400)], 0);
    await expect.poll(() => sourceFailures.length, { timeout: 5_000 }).toBe(1);
  });

  it('survives a client that goes away before the file came', async () => {
    const body = form([FILE]);
    await raw([head(body.length), body.subarray(0, 30)], 0);
    expect((await post('/required', body)).status).toBe(200);
  });
});
