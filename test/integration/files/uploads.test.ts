/** Check 21 of the contract: uploads in parts. */
import { createHash, randomBytes } from 'node:crypto';
import OpenAI7, { toFile as toFile7 } from 'openai';
import OpenAI4, { toFile as toFile4 } from 'openai-v4';
import OpenAI6, { toFile as toFile6 } from 'openai-v6';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { UploadsService } from '../../../orchestrator/src/uploads/uploads.service.js';
import { type FilesApp, startFilesApp } from './files-app.js';

let files: FilesApp;
beforeAll(async () => {
  files = await startFilesApp({ MAX_UPLOAD_BYTES: '100m' });
});
afterAll(() => files.stop());
beforeEach(async () => {
  await files.prisma.upload.deleteMany();
  await files.prisma.file.deleteMany();
});

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown> & {
    error?: { message: string; code: string | null; param: string | null };
  };
}

async function post(path: string, body?: unknown, key = files.keys.first): Promise<Answer> {
  const isForm = body instanceof FormData;
  const response = await fetch(`${files.baseURL}${path}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${key}`,
      ...(isForm || body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}

const CREATE = { bytes: 10, filename: 'joined.txt', mime_type: 'text/plain', purpose: 'user_data' };

const begin = async (overrides: object = {}): Promise<string> =>
  (await post('/uploads', { ...CREATE, ...overrides })).body['id'] as string;

async function part(upload: string, data: string | Buffer, key?: string): Promise<Answer> {
  const form = new FormData();
  form.append('data', new Blob([new Uint8Array(Buffer.from(data))]), 'part');
  return post(`/uploads/${upload}/parts`, form, key);
}
const partId = async (upload: string, data: string | Buffer): Promise<string> =>
  (await part(upload, data)).body['id'] as string;

const stateOf = async (id: string) => (await files.prisma.upload.findUniqueOrThrow({ where: { id } })).status;
const failed = (answer: Answer) => ({ status: answer.status, ...answer.body.error });

const clients = [
  ['7', OpenAI7, toFile7],
  ['6', OpenAI6 as unknown as typeof OpenAI7, toFile6 as unknown as typeof toFile7],
  ['4', OpenAI4 as unknown as typeof OpenAI7, toFile4 as unknown as typeof toFile7],
] as const;

describe.each(clients)('openai %s', (_version, Client, toFile) => {
  it('joins parts in the order that complete names', async () => {
    const client = new Client({ baseURL: files.baseURL, apiKey: files.keys.first, maxRetries: 0 });
    const [one, two] = [randomBytes(3_000_000), randomBytes(70_000)];
    const upload = await client.uploads.create({
      bytes: one.length + two.length,
      filename: 'données.bin',
      mime_type: 'application/octet-stream',
      purpose: 'user_data',
    });
    expect(upload).toMatchObject({
      object: 'upload',
      status: 'pending',
      expires_at: upload.created_at + 3_600,
      file: null,
    });
    const second = await client.uploads.parts.create(upload.id, { data: await toFile(two, 'two') });
    const first = await client.uploads.parts.create(upload.id, { data: await toFile(one, 'one') });
    expect(first).toEqual({
      id: first.id,
      object: 'upload.part',
      created_at: expect.any(Number),
      upload_id: upload.id,
    });
    const whole = Buffer.concat([one, two]);
    const md5 = createHash('md5').update(whole).digest('hex');
    const done = await client.uploads.complete(upload.id, { part_ids: [first.id, second.id], md5 });
    expect(done).toMatchObject({
      id: upload.id,
      status: 'completed',
      file: {
        object: 'file',
        filename: 'données.bin',
        bytes: whole.length,
        purpose: 'user_data',
        expires_at: null,
      },
    });
    const download = await client.files.content(done.file!.id);
    expect(Buffer.from(await download.arrayBuffer()).equals(whole)).toBe(true);
  });

  it('cancels', async () => {
    const client = new Client({ baseURL: files.baseURL, apiKey: files.keys.first, maxRetries: 0 });
    const id = await begin();
    await partId(id, 'x');
    expect(await client.uploads.cancel(id)).toMatchObject({ id, status: 'cancelled', file: null });
    expect(await files.prisma.uploadPart.count()).toBe(0);
  });
});

describe('create', () => {
  it.each([
    [{ bytes: undefined }, 'missing_required_parameter', 'bytes'],
    [{ filename: undefined }, 'missing_required_parameter', 'filename'],
    [{ mime_type: undefined }, 'missing_required_parameter', 'mime_type'],
    [{ purpose: undefined }, 'missing_required_parameter', 'purpose'],
    [{ bytes: 0 }, 'integer_below_min_value', 'bytes'],
    [{ bytes: 1.5 }, 'invalid_type', 'bytes'],
    [{ bytes: '10' }, 'invalid_type', 'bytes'],
    [{ bytes: 100 * 1024 * 1024 + 1 }, 'integer_above_max_value', 'bytes'],
    [{ purpose: 'bogus' }, null, 'purpose'],
    [{ filename: '' }, 'string_below_min_length', 'filename'],
    [{ filename: 'a\0b' }, 'invalid_value', 'filename'],
    [
      { expires_after: { anchor: 'created_at', seconds: 1 } },
      'integer_below_min_value',
      'expires_after.seconds',
    ],
    [{ extra: 1 }, 'unknown_parameter', 'extra'],
  ])('refuses %j', async (overrides, code, param) => {
    const answer = await post('/uploads', { ...CREATE, ...overrides });
    expect(failed(answer)).toMatchObject({ status: 400, code, param });
    expect(await files.prisma.upload.count()).toBe(0);
  });

  it('takes whole floats, null and unsafe names', async () => {
    const answer = await post('/uploads', { ...CREATE, filename: '../../etc/passwd', expires_after: null });
    expect(answer).toMatchObject({ status: 200, body: { filename: 'passwd' } });
  });

  it('passes the lifetime on to the file', async () => {
    const id = await begin({ bytes: 1, expires_after: { anchor: 'created_at', seconds: 7_200 } });
    const answer = await post(`/uploads/${id}/complete`, { part_ids: [await partId(id, 'x')] });
    const file = answer.body['file'] as { created_at: number; expires_at: number };
    expect(file.expires_at).toBe(file.created_at + 7_200);
  });
});

describe('complete', () => {
  it('refuses wrong totals, unknown, doubled and foreign parts, and changes nothing', async () => {
    const [id, other] = [await begin(), await begin()];
    const [a, b, foreign] = [
      await partId(id, '01234'),
      await partId(id, '56789'),
      await partId(other, '56789'),
    ];
    const complete = async (part_ids: unknown, more: object = {}) =>
      failed(await post(`/uploads/${id}/complete`, { part_ids, ...more }));
    expect(await complete([a])).toMatchObject({
      status: 400,
      param: 'part_ids',
      message: expect.stringContaining('5 bytes'),
    });
    expect(await complete([a, 'part_x'])).toMatchObject({
      status: 400,
      code: 'invalid_value',
      param: 'part_ids[1]',
    });
    expect(await complete([a, a])).toMatchObject({
      status: 400,
      code: 'invalid_value',
      param: 'part_ids[1]',
    });
    expect(await complete([a, foreign])).toMatchObject({
      status: 400,
      code: 'invalid_value',
      param: 'part_ids[1]',
    });
    expect(await complete([])).toMatchObject({
      status: 400,
      code: 'array_below_min_length',
      param: 'part_ids',
    });
    expect(await complete('x')).toMatchObject({ status: 400, code: 'invalid_type', param: 'part_ids' });
    expect(await complete([a, b], { md5: 'x' })).toMatchObject({
      status: 400,
      code: 'invalid_value',
      param: 'md5',
    });
    expect(await complete([a, b], { md5: '0'.repeat(32) })).toMatchObject({
      status: 400,
      code: 'invalid_value',
      param: 'md5',
    });
    expect(await stateOf(id)).toBe('pending');
    expect(await files.prisma.file.count()).toBe(0);
    const md5 = createHash('md5').update('0123456789').digest('hex').toUpperCase();
    expect(await post(`/uploads/${id}/complete`, { part_ids: [a, b], md5 })).toMatchObject({ status: 200 });
  });

  it('makes one file when many complete at once', async () => {
    const id = await begin();
    const part_ids = [await partId(id, '01234'), await partId(id, '56789')];
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => post(`/uploads/${id}/complete`, { part_ids })),
    );
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(1);
    expect(answers.filter((answer) => answer.status === 400)).toHaveLength(7);
    expect(await files.prisma.file.count()).toBe(1);
  });

  it('or cancel wins, never both', async () => {
    const id = await begin({ bytes: 1 });
    const part_ids = [await partId(id, 'x')];
    const answers = await Promise.all([
      post(`/uploads/${id}/complete`, { part_ids }),
      post(`/uploads/${id}/cancel`),
    ]);
    expect(answers.map((answer) => answer.status).toSorted((a, b) => a - b)).toEqual([200, 400]);
    expect(await files.prisma.file.count()).toBe((await stateOf(id)) === 'completed' ? 1 : 0);
  });
});

describe('a closed upload', () => {
  const everyStep = async (id: string) => [
    failed(await part(id, 'x')),
    failed(await post(`/uploads/${id}/complete`, { part_ids: ['part_x'] })),
    failed(await post(`/uploads/${id}/cancel`)),
  ];
  const refusals = (state: string) =>
    Array.from({ length: 3 }, () =>
      expect.objectContaining({ status: 400, message: expect.stringContaining(`is ${state}`) }),
    );

  it('takes nothing more once cancelled', async () => {
    const id = await begin();
    expect(await post(`/uploads/${id}/cancel`)).toMatchObject({ status: 200, body: { status: 'cancelled' } });
    expect(await everyStep(id)).toEqual(refusals('cancelled'));
  });

  it('takes nothing more once completed', async () => {
    const id = await begin({ bytes: 1 });
    await post(`/uploads/${id}/complete`, { part_ids: [await partId(id, 'x')] });
    expect(await everyStep(id)).toEqual(refusals('completed'));
  });

  it('takes nothing more once expired, before and after the sweep', async () => {
    const id = await begin();
    await partId(id, 'x');
    await files.prisma.upload.update({ where: { id }, data: { expiresAt: new Date(Date.now() - 1) } });
    expect(await everyStep(id)).toEqual(refusals('expired'));
    expect(await files.app.get(UploadsService).expireDue()).toBe(1);
    expect(await stateOf(id)).toBe('expired');
    expect(await files.prisma.uploadPart.count()).toBe(0);
    expect(await everyStep(id)).toEqual(refusals('expired'));
  });
});

describe('parts', () => {
  it('are absent for other projects and unknown ids', async () => {
    const id = await begin();
    expect(await part(id, 'x', files.keys.other)).toMatchObject({ status: 404 });
    expect(await post(`/uploads/${id}/cancel`, undefined, files.keys.other)).toMatchObject({ status: 404 });
    expect(await part('upload_x', 'x')).toMatchObject({ status: 404 });
    expect(await part('%00', 'x')).toMatchObject({ status: 404 });
    expect(await stateOf(id)).toBe('pending');
  });

  it('need their data, and nothing else', async () => {
    const id = await begin();
    const form = new FormData();
    form.append('other', 'x');
    expect(failed(await post(`/uploads/${id}/parts`, form))).toMatchObject({ status: 400, param: 'data' });
    form.append('data', new Blob(['x']));
    expect(failed(await post(`/uploads/${id}/parts`, form))).toMatchObject({
      status: 400,
      code: 'unknown_parameter',
      param: 'other',
    });
    expect(await files.prisma.uploadPart.count()).toBe(0);
  });

  it('are at most 64 MiB, and within the limit together', async () => {
    const id = await begin();
    const limit = Buffer.alloc(64 * 1024 * 1024);
    expect((await part(id, limit)).status).toBe(200);
    expect(failed(await part(id, Buffer.alloc(limit.length + 1)))).toMatchObject({
      status: 413,
      code: 'file_too_large',
      param: 'data',
    });
    expect(failed(await part(id, limit))).toMatchObject({
      status: 413,
      param: 'data',
      message: expect.stringContaining('104857600'),
    });
  });
});
