/** Checks 9–20 of the contract with the official clients of three generations. */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI7, { toFile as toFile7 } from 'openai';
import OpenAI4, { toFile as toFile4 } from 'openai-v4';
import OpenAI6, { toFile as toFile6 } from 'openai-v6';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FilesService } from '../../../orchestrator/src/files/files.service.js';
import { type FilesApp, startFilesApp } from './files-app.js';

let files: FilesApp;
let dir: string;

beforeAll(async () => {
  files = await startFilesApp();
  dir = await mkdtemp(join(tmpdir(), 'files-test-'));
});
afterAll(async () => {
  await files.stop();
  await rm(dir, { recursive: true, force: true });
});
beforeEach(() => files.prisma.file.deleteMany());

type Failure = { status?: number; code?: string | null; param?: string | null; message: string };
const failure = (promise: Promise<unknown>): Promise<Failure> =>
  promise.then(
    () => {
      throw new Error('expected a failure');
    },
    (error: Failure) => error,
  );

const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');
const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_, index) => index));

/** The three generations share the calls used here; their types differ in details that do not matter. */
const clients = [
  ['7', OpenAI7, toFile7],
  ['6', OpenAI6 as unknown as typeof OpenAI7, toFile6 as unknown as typeof toFile7],
  ['4', OpenAI4 as unknown as typeof OpenAI7, toFile4 as unknown as typeof toFile7],
] as const;

describe.each(clients)('openai %s', (_version, Client, toFile) => {
  let client: OpenAI7;
  let stranger: OpenAI7;
  beforeAll(() => {
    client = new Client({ baseURL: files.baseURL, apiKey: files.keys.first, maxRetries: 0 });
    stranger = new Client({ baseURL: files.baseURL, apiKey: files.keys.other, maxRetries: 0 });
  });
  const create = async (name = 'data.csv', data: Buffer | string = 'a,b\n1,2\n') =>
    client.files.create({ file: await toFile(Buffer.from(data), name), purpose: 'user_data' });

  it('creates from a buffer', async () => {
    const file = await create();
    expect(file).toEqual({
      id: expect.stringMatching(/^file-[A-Za-z0-9]{22}$/),
      object: 'file',
      bytes: 8,
      created_at: expect.any(Number),
      expires_at: null,
      filename: 'data.csv',
      purpose: 'user_data',
      status: 'processed',
      status_details: null,
    });
    expect(await client.files.retrieve(file.id)).toEqual(file);
  });

  it.each(['données été.csv', '表 🎉.xlsx', "a'b (1)%20.txt"])('keeps the name %j', async (name) => {
    const file = await create(name);
    expect(file.filename).toBe(name);
    const download = await client.files.content(file.id);
    expect(download.headers.get('content-disposition')).toContain(
      `filename*=UTF-8''${encodeURIComponent(name).replace(/['()]/g, (char) => `%${char.charCodeAt(0).toString(16)}`)}`,
    );
  });

  it('creates from a stream of unknown length', async () => {
    const path = join(dir, 'chunked.bin');
    const data = randomBytes(1_500_000);
    await writeFile(path, data);
    const file = await client.files.create({ file: createReadStream(path), purpose: 'assistants' });
    expect(file).toMatchObject({ bytes: data.length, filename: 'chunked.bin', purpose: 'assistants' });
  });

  it('takes an empty file', async () => {
    const file = await create('empty.txt', '');
    expect(file.bytes).toBe(0);
    expect((await (await client.files.content(file.id)).arrayBuffer()).byteLength).toBe(0);
  });

  it('sets the time of expiry, and checks it', async () => {
    const upload = async (seconds: number) =>
      client.files.create({
        file: await toFile(Buffer.from('x'), 'x.txt'),
        purpose: 'user_data',
        expires_after: { anchor: 'created_at', seconds },
      } as OpenAI7.FileCreateParams);
    const file = await upload(3_600);
    expect(file.expires_at).toBe(file.created_at + 3_600);
    expect(await failure(upload(10))).toMatchObject({
      status: 400,
      code: 'integer_below_min_value',
      param: 'expires_after.seconds',
    });
    expect(await failure(upload(2_592_001))).toMatchObject({
      code: 'integer_above_max_value',
      param: 'expires_after.seconds',
    });
  });

  it('refuses an unknown purpose', async () => {
    const error = await failure(
      client.files.create({ file: await toFile(Buffer.from('x'), 'x'), purpose: 'bogus' as 'batch' }),
    );
    expect(error).toMatchObject({ status: 400, param: 'purpose', code: null });
    expect(error.message).toContain(
      "'bogus' is not one of ['fine-tune', 'assistants', 'batch', 'user_data', 'vision', 'evals'] - 'purpose'",
    );
  });

  it.each([
    ['every byte', ALL_BYTES],
    ['5 MB', randomBytes(5_000_000)],
  ])('gives back %s exactly', async (_name, data) => {
    const file = await create('data.bin', data);
    const download = await client.files.content(file.id);
    expect(download.headers.get('content-length')).toBe(String(data.length));
    expect(download.headers.get('x-content-type-options')).toBe('nosniff');
    expect(download.headers.get('content-type')).toBe('application/octet-stream');
    expect(sha256(Buffer.from(await download.arrayBuffer()))).toBe(sha256(data));
  });

  it('lists in pages, newest first or oldest first', async () => {
    const ids: string[] = [];
    for (let index = 0; index < 5; index += 1) ids.push((await create(`${index}.txt`)).id);
    const walk = async (order: 'asc' | 'desc') => {
      const seen: string[] = [];
      for await (const file of client.files.list({ limit: 2, order })) seen.push(file.id);
      return seen;
    };
    expect(await walk('desc')).toEqual(ids.toReversed());
    expect(await walk('asc')).toEqual(ids);
    expect(await stranger.files.list().then((page) => page.data)).toEqual([]);
  });

  it('lists by purpose, and nothing', async () => {
    await create();
    const vision = await client.files.create({
      file: await toFile(Buffer.from('x'), 'x.png'),
      purpose: 'vision',
    });
    expect((await client.files.list({ purpose: 'vision' })).data.map((file) => file.id)).toEqual([vision.id]);
    const empty = await fetch(`${files.baseURL}/files?purpose=evals`, {
      headers: { authorization: `Bearer ${files.keys.first}` },
    });
    expect(await empty.json()).toEqual({
      object: 'list',
      data: [],
      first_id: null,
      last_id: null,
      has_more: false,
    });
  });

  it('deletes once', async () => {
    const { id } = await create();
    const remove = (): Promise<unknown> =>
      Client === (OpenAI4 as unknown)
        ? (client as unknown as OpenAI4).files.del(id)
        : client.files.delete(id);
    expect(await failure(stranger.files.retrieve(id))).toMatchObject({ status: 404 });
    expect(await remove()).toEqual({ id, object: 'file', deleted: true });
    expect(await failure(client.files.retrieve(id))).toMatchObject({
      status: 404,
      param: 'id',
      code: null,
      message: `404 No such File object: ${id}`,
    });
    expect(await failure(remove())).toMatchObject({ status: 404 });
    expect(await failure(client.files.content(id))).toMatchObject({ status: 404 });
  });

  it('is processed at once', async () => {
    const { id } = await create();
    const startedAt = Date.now();
    expect((await client.files.waitForProcessing(id)).status).toBe('processed');
    expect(Date.now() - startedAt).toBeLessThan(6_000);
  });

  it('hides the files of other projects', async () => {
    const { id } = await create();
    expect(await failure(stranger.files.retrieve(id))).toMatchObject({
      status: 404,
      message: `404 No such File object: ${id}`,
    });
    expect(await failure(stranger.files.content(id))).toMatchObject({ status: 404 });
    expect((await client.files.retrieve(id)).id).toBe(id);
  });

  it('shows container files as files', async () => {
    const { id: source } = await create('seed.csv', 'from a container');
    const { blobSha256 } = await files.prisma.file.findUniqueOrThrow({ where: { id: source } });
    files.containerFiles.set('proj_first/cfile_1', {
      id: 'cfile_1',
      containerId: 'cntr_1',
      path: '/mnt/data/charts/été.csv',
      bytes: 16,
      createdAt: new Date(1_700_000_000_000),
      blobSha256,
    });
    expect(await client.files.retrieve('cfile_1')).toEqual({
      id: 'cfile_1',
      object: 'file',
      bytes: 16,
      created_at: 1_700_000_000,
      expires_at: null,
      filename: 'été.csv',
      purpose: 'assistants_output',
      status: 'processed',
      status_details: null,
    });
    const download = await client.files.content('cfile_1');
    expect(download.headers.get('content-type')).toBe('text/csv');
    expect(await download.text()).toBe('from a container');
    expect(await failure(stranger.files.retrieve('cfile_1'))).toMatchObject({ status: 404 });
    expect(await failure(client.files.retrieve('cfile_2'))).toMatchObject({
      status: 404,
      message: '404 No such File object: cfile_2',
    });
  });

  it('sends request ids with everything', async () => {
    const file = await create();
    expect((file as { _request_id?: string })._request_id ?? 'req_').toMatch(/^req_/);
  });
});

describe('expiry', () => {
  it('is seen on read, before and after the sweep', async () => {
    const client = new OpenAI7({ baseURL: files.baseURL, apiKey: files.keys.first, maxRetries: 0 });
    const file = await client.files.create({
      file: await toFile7(Buffer.from('x'), 'x'),
      purpose: 'user_data',
    });
    const kept = await client.files.create({
      file: await toFile7(Buffer.from('y'), 'y'),
      purpose: 'user_data',
    });
    await files.prisma.file.update({ where: { id: file.id }, data: { expiresAt: new Date(Date.now() - 1) } });
    const absent = async () => {
      expect(await failure(client.files.retrieve(file.id))).toMatchObject({ status: 404 });
      expect(await failure(client.files.content(file.id))).toMatchObject({ status: 404 });
      expect(await failure(client.files.delete(file.id))).toMatchObject({ status: 404 });
      expect((await client.files.list()).data.map((each) => each.id)).toEqual([kept.id]);
    };
    await absent();
    expect(await files.app.get(FilesService).expireDue()).toBe(1);
    expect(await files.prisma.file.count()).toBe(1);
    await absent();
  });

  it('comes after thirty days for batch files', async () => {
    const client = new OpenAI7({ baseURL: files.baseURL, apiKey: files.keys.first, maxRetries: 0 });
    const file = await client.files.create({
      file: await toFile7(Buffer.from('{}'), 'b.jsonl'),
      purpose: 'batch',
    });
    expect(file.expires_at).toBe(file.created_at + 30 * 86_400);
  });
});
