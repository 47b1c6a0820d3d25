import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ApiError } from '../../../orchestrator/src/common/api-error.js';
import { BlobMissingError } from '../../../orchestrator/src/storage/blob.store.js';
import { FsBlobStore } from '../../../orchestrator/src/storage/fs/fs-blob.store.js';
import { isAbandoned, stagingName } from '../../../orchestrator/src/storage/fs/staging-name.js';

const sha256 = (data: Buffer | string): string => createHash('sha256').update(data).digest('hex');
const source = (...chunks: (Buffer | string)[]): Readable =>
  Readable.from(chunks.map((chunk) => Buffer.from(chunk)));

let dir: string;
let store: FsBlobStore;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'blobs-'));
  store = new FsBlobStore(dir);
  await store.onModuleInit();
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const staged = (): Promise<string[]> => readdir(join(dir, 'staging'));

async function all(): Promise<string[]> {
  const found: string[] = [];
  for await (const blob of store.list()) found.push(blob.sha256);
  return found;
}

describe('FsBlobStore', () => {
  it('gives back what it was given', async () => {
    const data = randomBytes(3_000_000);
    const info = await store.write(Readable.from([data.subarray(0, 10), data.subarray(10)]));
    expect(info).toEqual({ sha256: sha256(data), bytes: data.length });
    expect((await buffer(await store.read(info.sha256))).equals(data)).toBe(true);
    expect(await store.has(info.sha256)).toBe(true);
  });

  it('reads ranges, both ends inclusive', async () => {
    const { sha256: hash } = await store.write(source('0123456789'));
    const text = async (range: { start?: number; end?: number }) =>
      (await buffer(await store.read(hash, range))).toString();
    expect(await text({ start: 3 })).toBe('3456789');
    expect(await text({ end: 3 })).toBe('0123');
    expect(await text({ start: 2, end: 2 })).toBe('2');
  });

  it('takes empty content', async () => {
    const info = await store.write(source());
    expect(info).toEqual({ sha256: sha256(''), bytes: 0 });
    expect((await buffer(await store.read(info.sha256))).length).toBe(0);
  });

  it('keeps the same content once', async () => {
    await Promise.all([
      store.write(source('same')),
      store.write(source('sa', 'me')),
      store.write(source('same')),
    ]);
    expect(await all()).toEqual([sha256('same')]);
    expect(await staged()).toEqual([]);
    expect(await store.usage()).toMatchObject({ blobs: 1, bytes: 4, freeBytes: expect.any(Number) });
  });

  it('shows nothing before commit and nothing after discard', async () => {
    const blob = await store.stage(source('secret'));
    expect(await store.has(blob.sha256)).toBe(false);
    await expect(store.read(blob.sha256)).rejects.toBeInstanceOf(BlobMissingError);
    await blob.discard();
    expect(await staged()).toEqual([]);
  });

  it('touches the disk for small content only when it is new', async () => {
    const { sha256: hash } = await store.write(source('twice'));
    const file = join(dir, 'blobs', hash.slice(0, 2), hash);
    const before = await stat(file);
    const again = await store.stage(source('twice'));
    expect(await staged()).toEqual([]);
    await store.commit([again]);
    expect((await stat(file)).ino).toBe(before.ino);
  });

  it('commits many at once, the same content once', async () => {
    const blobs = await Promise.all(['a', 'b', 'a'].map((text) => store.stage(source(text.repeat(100_000)))));
    await store.commit(blobs);
    for (const blob of blobs) await blob.discard();
    expect((await all()).sort()).toEqual([sha256('a'.repeat(100_000)), sha256('b'.repeat(100_000))].sort());
    expect(await staged()).toEqual([]);
  });

  it('keeps holes instead of zeros', async () => {
    const zeros = Buffer.alloc(8 * 1024 * 1024);
    const data = Buffer.concat([Buffer.from('begin'), zeros, Buffer.from('middle'), zeros]);
    const info = await store.write(Readable.from([data.subarray(0, 100_000), data.subarray(100_000)]));
    expect(info).toEqual({ sha256: sha256(data), bytes: data.length });
    expect((await buffer(await store.read(info.sha256))).equals(data)).toBe(true);
    const { blocks } = await stat(join(dir, 'blobs', info.sha256.slice(0, 2), info.sha256));
    expect(blocks * 512).toBeLessThan(1024 * 1024);
  });

  it('asks for every chunk, and stops when it is refused', async () => {
    const asked: number[] = [];
    const admit = async (bytes: number) => {
      asked.push(bytes);
      if (asked.length === 3) throw new ApiError('storage_quota_exceeded', 'no');
    };
    const writing = store.stage(source('one', 'four', 'no', 'never'), { admit });
    await expect(writing).rejects.toMatchObject({ code: 'storage_quota_exceeded' });
    expect(asked).toEqual([3, 4, 2]);
    expect(await staged()).toEqual([]);
  });

  it('replaces a damaged copy of the same content', async () => {
    const { sha256: hash } = await store.write(source('whole content'));
    await writeFile(join(dir, 'blobs', hash.slice(0, 2), hash), 'who');
    await store.write(source('whole content'));
    expect((await buffer(await store.read(hash))).toString()).toBe('whole content');
  });

  it('refuses one byte more than allowed and leaves nothing', async () => {
    expect((await store.write(source('1234'), { maxBytes: 4 })).bytes).toBe(4);
    const content = source('123', '45', '6');
    await expect(store.write(content, { maxBytes: 4 })).rejects.toMatchObject({
      code: 'file_too_large',
      status: 413,
    });
    expect(content.destroyed).toBe(true);
    expect(await staged()).toEqual([]);
    expect(await all()).toEqual([sha256('1234')]);
  });

  it('leaves nothing when the source breaks', async () => {
    const broken = Readable.from(
      (async function* () {
        yield Buffer.from('half');
        throw new Error('connection lost');
      })(),
    );
    await expect(store.write(broken)).rejects.toThrow('connection lost');
    expect(await staged()).toEqual([]);
    expect(await all()).toEqual([]);
  });

  it.each(['../../etc/passwd', '', 'ABC', 'a'.repeat(63)])('never looks up %j', async (name) => {
    await expect(store.read(name)).rejects.toBeInstanceOf(BlobMissingError);
    await expect(store.remove(name)).rejects.toBeInstanceOf(BlobMissingError);
  });

  it('removes, also what is not there', async () => {
    const { sha256: hash } = await store.write(source('x'));
    await store.remove(hash);
    await store.remove(hash);
    expect(await store.has(hash)).toBe(false);
  });

  it('sweeps what a crash left, at once at the next start and by age later', async () => {
    const dead = spawnSync('true').pid;
    const left = stagingName(hostname(), 'crashed', dead);
    const foreign = stagingName('another-host', 'busy', 1);
    await writeFile(join(dir, 'staging', left), 'half');
    await writeFile(join(dir, 'staging', foreign), 'half');
    await new FsBlobStore(dir).onModuleInit();
    expect(await staged()).toEqual([foreign]);
    expect(await store.sweepStaging(60_000)).toBe(0);
    const longAgo = new Date(Date.now() - 120_000);
    await utimes(join(dir, 'staging', foreign), longAgo, longAgo);
    expect(await store.sweepStaging(60_000)).toBe(1);
    expect(await staged()).toEqual([]);
  });
});

describe('isAbandoned', () => {
  it('spares living writers and strange names', () => {
    expect(isAbandoned(stagingName('h', 'u', 1), 'h', 4711)).toBe(false);
    expect(isAbandoned(stagingName('h', 'u', 4711), 'h', 4711)).toBe(true);
    expect(isAbandoned(stagingName('h', 'u', 4711), 'other', 4711)).toBe(false);
    expect(isAbandoned('notes.txt', 'h')).toBe(false);
  });
});

const canMount = process.getuid?.() === 0 && spawnSync('mount', ['--version']).status === 0;

describe.skipIf(!canMount)('a full disk', () => {
  it('is answered with 507, and smaller content still fits', async ({ skip }) => {
    const mountPoint = await mkdtemp(join(tmpdir(), 'small-'));
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', mountPoint]);
    skip(mounted.status !== 0, 'this machine lets nobody mount');
    try {
      const small = new FsBlobStore(mountPoint);
      await small.onModuleInit();
      const data = randomBytes(64 * 1024);
      const large = Readable.from(Array.from({ length: 64 }, () => data));
      const error = await small.write(large).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(ApiError);
      expect(error).toMatchObject({
        code: 'storage_full',
        status: 507,
        message: expect.stringContaining('full'),
      });
      expect(await readdir(join(mountPoint, 'staging'))).toEqual([]);
      const info = await small.write(Readable.from([data]));
      expect(
        (await readFile(join(mountPoint, 'blobs', info.sha256.slice(0, 2), info.sha256))).equals(data),
      ).toBe(true);
    } finally {
      execFileSync('umount', [mountPoint]);
      await rm(mountPoint, { recursive: true, force: true });
    }
  });
});
