/** Files (checks 9–20). */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Page } from '../support/api.js';
import { collect, current, errorOf, type OfficialClient, withOld } from '../support/clients.js';
import { useProject } from '../support/project.js';

const ALL_BYTES = Uint8Array.from({ length: 256 }, (_, byte) => byte);
const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

const project = useProject();

describe('an empty project', () => {
  it.each(['/files', '/containers'])('18: %s is an empty list', async (path) => {
    const page = await project.api.ok('GET', path);
    expect(page).toEqual({ object: 'list', data: [], has_more: false, first_id: null, last_id: null });
  });
});

describe.each(withOld)('multipart of $name', ({ connect, toFile }: OfficialClient) => {
  it('9: creates a file', async () => {
    const file = await connect(project).files.create({
      file: await toFile(Buffer.from('a,b\n1,2\n'), 'data.csv'),
      purpose: 'user_data',
    });
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
    expect(Math.abs(file.created_at - Date.now() / 1000)).toBeLessThan(60);
  });

  it('10: keeps a name that is not ASCII', async () => {
    for (const name of ['données été.csv', '数据 表.xlsx', 'квартал 3 (итого).csv']) {
      const file = await connect(project).files.create({
        file: await toFile(Buffer.from('x'), name),
        purpose: 'user_data',
      });
      expect(file.filename).toBe(name);
    }
  });

  it('12: sets an expiry', async () => {
    const file = await connect(project).files.create({
      file: await toFile(Buffer.from('x'), 'x'),
      purpose: 'user_data',
      expires_after: { anchor: 'created_at', seconds: 3600 },
    } as never);
    expect(file.expires_at).toBe(file.created_at + 3600);
  });

  it('13: names the parameter of a wrong expiry', async () => {
    for (const seconds of [10, 2_592_001]) {
      const call = connect(project).files.create({
        file: await toFile(Buffer.from('x'), 'x'),
        purpose: 'user_data',
        expires_after: { anchor: 'created_at', seconds },
      } as never);
      expect(await errorOf(call)).toMatchObject({ status: 400, param: 'expires_after.seconds' });
    }
  });

  it('14: names the parameter of a wrong purpose', async () => {
    const error = await errorOf(
      connect(project).files.create({ file: await toFile(Buffer.from('x'), 'x'), purpose: 'bogus' as never }),
    );
    expect(error.constructor.name).toBe('BadRequestError');
    expect(error).toMatchObject({ param: 'purpose', code: null });
    expect(error.message).toContain("'bogus' is not one of");
  });

  it.each([
    ['every byte', ALL_BYTES],
    ['nothing', new Uint8Array()],
    ['five random megabytes', randomBytes(5 * 1024 * 1024)],
  ])('15: returns %s unchanged', async (_, bytes) => {
    const client = connect(project);
    const file = await client.files.create({ file: await toFile(bytes, 'b.bin'), purpose: 'user_data' });
    expect(file.bytes).toBe(bytes.length);
    const reply = await client.files.content(file.id);
    expect(reply.headers.get('content-length')).toBe(String(bytes.length));
    expect(sha256(new Uint8Array(await reply.arrayBuffer()))).toBe(sha256(bytes));
  });
});

describe.each(current)('$name', ({ connect }) => {
  let dir = '';
  beforeAll(() => void (dir = mkdtempSync(join(tmpdir(), 'contract-files-'))));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  it('11: takes a stream of unknown length', async () => {
    const bytes = randomBytes(300_000);
    const path = join(dir, 'streamed.bin');
    writeFileSync(path, bytes);
    const client = connect(project);
    const file = await client.files.create({ file: createReadStream(path), purpose: 'assistants' });
    expect(file).toMatchObject({ bytes: bytes.length, filename: 'streamed.bin' });
    expect(sha256(new Uint8Array(await (await client.files.content(file.id)).arrayBuffer()))).toBe(
      sha256(bytes),
    );
  });

  it('19: deletes once', async () => {
    const client = connect(project);
    const id = await project.api.upload('gone.txt', 'x');
    expect(await client.files.delete(id)).toEqual({ id, object: 'file', deleted: true });
    for (const call of [
      () => client.files.retrieve(id),
      () => client.files.delete(id),
      () => client.files.content(id),
    ]) {
      const error = await errorOf(call());
      expect(error.constructor.name).toBe('NotFoundError');
      expect(error).toMatchObject({ param: 'id', code: null, message: `404 No such File object: ${id}` });
    }
  });

  it('20: does not wait for processing', async () => {
    const begin = Date.now();
    const file = await connect(project).files.waitForProcessing(await project.api.upload('p.txt', 'x'));
    expect(file.status).toBe('processed');
    expect(Date.now() - begin).toBeLessThan(6_000);
  });
});

describe.each(current)('lists of $name', ({ connect }) => {
  const mine = useProject();
  let ids: string[] = [];
  beforeAll(async () => {
    ids = [];
    for (const name of ['1', '2', '3', '4', '5']) {
      ids.push(await mine.api.upload(`${name}.txt`, name, name === '3' ? 'vision' : 'user_data'));
    }
  });

  it('16: pages through, newest first, or oldest first', async () => {
    const client = connect(mine);
    expect((await collect(client.files.list({ limit: 2 }))).map(({ id }) => id)).toEqual([...ids].reverse());
    expect((await collect(client.files.list({ limit: 2, order: 'asc' }))).map(({ id }) => id)).toEqual(ids);
    expect((await collect(client.files.list())).map(({ id }) => id)).toEqual([...ids].reverse());
  });

  it('16: says where a page begins and ends', async () => {
    const page = await mine.api.ok<Page>('GET', `/files?limit=2&order=asc&after=${ids[1]}`);
    expect(page).toMatchObject({ first_id: ids[2], last_id: ids[3], has_more: true });
    const last = await mine.api.ok<Page>('GET', `/files?limit=2&order=asc&after=${ids[2]}`);
    expect(last).toMatchObject({ last_id: ids[4], has_more: false });
    expect(await mine.api.ok('GET', `/files?after=${ids[4]}&order=asc`)).toMatchObject({
      data: [],
      first_id: null,
    });
    expect(await mine.api.ok('GET', '/files?after=&limit=&order=&purpose=')).toMatchObject({
      has_more: false,
    });
  });

  it('17: filters by purpose', async () => {
    expect((await collect(connect(mine).files.list({ purpose: 'vision' }))).map(({ id }) => id)).toEqual([
      ids[2],
    ]);
  });

  it('refuses limits and cursors that cannot be', async () => {
    const { api } = mine;
    expect(await api.refused(400, 'GET', '/files?limit=0')).toMatchObject({ param: 'limit' });
    expect((await api.refused(400, 'GET', '/files?limit=10001')).message).toBe(
      'limit must be between 1 and 10000.',
    );
    expect(await api.refused(400, 'GET', '/files?limit=two')).toMatchObject({
      param: 'limit',
      code: 'invalid_type',
    });
    expect(await api.refused(400, 'GET', '/files?order=up')).toMatchObject({
      param: 'order',
      code: 'invalid_value',
    });
    expect(await api.refused(404, 'GET', '/files?after=file-x')).toMatchObject({
      param: 'after',
      message: 'Resource not found.',
    });
  });
});

describe('downloads', () => {
  it('are attachments with their names, whose type nobody guesses', async () => {
    const id = await project.api.upload('données été.html', '<script>1</script>');
    const reply = await project.api.get(`/files/${id}/content`);
    expect(reply.headers.get('content-disposition')).toMatch(
      /^attachment; .*filename\*=UTF-8''donn%C3%A9es%20%C3%A9t%C3%A9\.html$/,
    );
    expect(reply.headers.get('x-content-type-options')).toBe('nosniff');
  });

  it('give a range', async () => {
    const id = await project.api.upload('r.txt', '0123456789');
    const reply = await project.api.request('GET', `/files/${id}/content`, undefined, {
      headers: { range: 'bytes=2-4' },
    });
    expect([reply.status, reply.text]).toEqual([206, '234']);
  });
});

describe('names', () => {
  it.each([
    ['../../etc/passwd', 'passwd'],
    ['a/b.txt', 'b.txt'],
    ['..', 'file'],
    ['a\\b\\c.txt', 'c.txt'],
  ])('39: %j is kept as a base name', async (sent, kept) => {
    const id = await project.api.upload(sent, 'x');
    expect(await project.api.ok('GET', `/files/${id}`)).toMatchObject({ filename: kept });
  });
});
