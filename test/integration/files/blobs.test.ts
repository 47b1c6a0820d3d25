/** The blob clean-up beside real uploads: what is needed stays, the rest goes, whatever the order. */
import { randomBytes } from 'node:crypto';
import { readdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { FilesService } from '../../../orchestrator/src/files/files.service.js';
import { BlobMissingError, BlobStore } from '../../../orchestrator/src/storage/blob.store.js';
import { BlobsService } from '../../../orchestrator/src/storage/blobs.service.js';
import { type FilesApp, startFilesApp } from './files-app.js';

let app: FilesApp;
let blobs: BlobsService;
let files: FilesService;
let store: BlobStore;

beforeAll(async () => {
  app = await startFilesApp();
  blobs = app.app.get(BlobsService, { strict: false });
  files = app.app.get(FilesService, { strict: false });
  store = app.app.get(BlobStore, { strict: false });
});
afterAll(() => app.stop());
beforeEach(async () => {
  await app.prisma.file.deleteMany();
  await app.prisma.upload.deleteMany();
  await blobs.collectGarbage(-1_000);
});

const write = (data: Buffer | string) => blobs.write(Readable.from([Buffer.from(data)]));
const text = async (sha256: string) => (await buffer(await blobs.read(sha256))).toString();
const pathOf = (sha256: string) => join(app.blobDir, 'blobs', sha256.slice(0, 2), sha256);
const keep = (blob: { sha256: string; bytes: number }) =>
  files.createFromBlob('proj_first', { filename: 'f', purpose: 'user_data', blob });

describe('collectGarbage', () => {
  it('keeps what files, parts and the grace protect', async () => {
    const [kept, part, loose] = [await write('kept'), await write('part'), await write('loose')];
    await keep(kept);
    const now = new Date();
    const upload = {
      id: 'upload_gc',
      projectId: 'proj_first',
      filename: 'f',
      purpose: 'user_data',
      mimeType: 't',
      bytes: 4n,
    };
    await app.prisma.upload.create({ data: { ...upload, expiresAt: new Date(now.getTime() + 60_000) } });
    await app.prisma.uploadPart.create({
      data: {
        id: 'part_gc',
        uploadId: 'upload_gc',
        projectId: 'proj_first',
        bytes: 4n,
        blobSha256: part.sha256,
      },
    });
    expect(await blobs.collectGarbage(60_000)).toEqual({ blobs: 0, orphans: 0, staged: 0 });
    expect(await text(loose.sha256)).toBe('loose');
    expect(await blobs.collectGarbage(-1_000)).toEqual({ blobs: 1, orphans: 0, staged: 0 });
    await expect(blobs.read(loose.sha256)).rejects.toBeInstanceOf(BlobMissingError);
    expect([await text(kept.sha256), await text(part.sha256)]).toEqual(['kept', 'part']);
    expect(await app.prisma.blob.count()).toBe(2);
  });

  it('gives shared content up with its last file', async () => {
    const blob = await write('shared');
    const [one, two] = [await keep(blob), await keep(blob)];
    await files.remove('proj_first', one.id);
    await blobs.collectGarbage(-1_000);
    expect(await text(blob.sha256)).toBe('shared');
    await files.remove('proj_first', two.id);
    expect((await blobs.collectGarbage(-1_000)).blobs).toBe(1);
    expect(await blobs.usage()).toMatchObject({ blobs: 0, bytes: 0 });
  });

  it('removes content that lost its row, once it is old', async () => {
    const { sha256 } = await store.write(Buffer.from('orphan'));
    expect((await blobs.collectGarbage(60_000)).orphans).toBe(0);
    const longAgo = new Date(Date.now() - 120_000);
    await utimes(pathOf(sha256), longAgo, longAgo);
    expect((await blobs.collectGarbage(60_000)).orphans).toBe(1);
    await expect(blobs.read(sha256)).rejects.toBeInstanceOf(BlobMissingError);
  });

  it('starts the grace anew when the same content comes again', async () => {
    const { sha256 } = await write('again');
    await app.prisma.blob.update({ where: { sha256 }, data: { createdAt: new Date(Date.now() - 120_000) } });
    await write('again');
    expect((await blobs.collectGarbage(60_000)).blobs).toBe(0);
    expect(await text(sha256)).toBe('again');
  });

  it('never takes content from an upload of the same bytes', async () => {
    const data = randomBytes(200_000);
    let running = true;
    const collector = (async () => {
      let removed = 0;
      while (running) removed += (await blobs.collectGarbage(-1_000)).blobs;
      return removed;
    })();
    let kept = 0;
    const rounds = async () => {
      for (let round = 0; round < 40; round += 1) {
        const written = await Promise.all(Array.from({ length: 4 }, () => write(data)));
        // Without a grace the row may be gone before anything refers to it: then the file is refused, never broken.
        const file = await keep(written[0]!).catch(() => null);
        if (!file) continue;
        kept += 1;
        const { content } = await files.open('proj_first', file.id);
        expect((await buffer(content)).equals(data)).toBe(true);
        await files.remove('proj_first', file.id);
      }
    };
    await rounds().finally(() => (running = false));
    expect(await collector).toBeGreaterThan(0);
    expect(kept).toBeGreaterThan(0);
    const rows = await app.prisma.blob.findMany();
    for (const row of rows)
      expect((await buffer(await blobs.read(row.sha256))).length).toBe(Number(row.bytes));
  });

  it('is safe beside itself', async () => {
    await Promise.all(Array.from({ length: 20 }, (_, index) => write(`loose ${index}`)));
    const removed = await Promise.all([1, 2, 3].map(() => blobs.collectGarbage(-1_000)));
    expect(removed.reduce((sum, each) => sum + each.blobs, 0)).toBe(20);
    expect(await blobs.usage()).toMatchObject({ blobs: 0 });
  });
});

describe('a delete', () => {
  it('frees content at once with its last reference', async () => {
    const blob = await blobs.within(null, (writer) => writer.write(Buffer.from('at once')));
    const [one, two] = [await keep(blob), await keep(blob)];
    await files.remove('proj_first', one.id);
    expect(await text(blob.sha256)).toBe('at once');
    await files.remove('proj_first', two.id);
    await vi.waitFor(async () => expect(await store.has(blob.sha256)).toBe(false));
    expect(await app.prisma.blob.findUnique({ where: { sha256: blob.sha256 } })).toBeNull();
  });

  it('never takes content from work that writes the same bytes', async () => {
    const data = randomBytes(150_000);
    const round = () =>
      blobs.within('proj_first', async (writer) => {
        const file = await keep(await writer.write(data));
        const { content } = await files.open('proj_first', file.id);
        expect((await buffer(content)).equals(data)).toBe(true);
        return file;
      });
    const worker = async () => {
      for (let each = 0; each < 25; each += 1) await files.remove('proj_first', (await round()).id);
    };
    await Promise.all([1, 2, 3, 4].map(worker));
    await vi.waitFor(async () => expect(await blobs.usage()).toMatchObject({ blobs: 0 }));
  });

  it('comes after a request that failed, too', async () => {
    let sha256 = '';
    const failing = blobs.within('proj_first', async (writer) => {
      ({ sha256 } = await writer.write(Buffer.from('in vain')));
      throw new Error('a later field is wrong');
    });
    await expect(failing).rejects.toThrow('a later field');
    await vi.waitFor(async () => expect(await store.has(sha256)).toBe(false));
  });

  it('is finished by the next round when it was cut off between row and content', async () => {
    const blob = await blobs.within(null, (writer) => writer.write(Buffer.from('cut off')));
    await app.prisma.blob.delete({ where: { sha256: blob.sha256 } });
    await app.prisma.freedBlob.create({ data: { sha256: blob.sha256, dueAt: new Date() } });
    expect(await blobs.collectDue()).toMatchObject({ blobs: 0 });
    expect(await store.has(blob.sha256)).toBe(false);
  });
});

describe('writing', () => {
  afterEach(() => vi.restoreAllMocks());

  it('keeps many small pieces, each once, in order', async () => {
    const contents = Array.from({ length: 300 }, (_, index) => Buffer.from(`piece ${index % 200}`));
    const written = await blobs.within('proj_first', (writer) => writer.writeMany(contents));
    expect(written).toHaveLength(300);
    for (const index of [0, 127, 128, 199, 250])
      expect(await text(written[index]!.sha256)).toBe(`piece ${index % 200}`);
    expect(await app.prisma.blob.count()).toBe(200);
    expect(await readdir(join(app.blobDir, 'staging'))).toEqual([]);
  });

  it('leaves nothing half-done when one of many fails', async () => {
    const contents = function* () {
      yield Buffer.from('first of two');
      yield Buffer.from('too long');
    };
    const writing = blobs.within('proj_first', (writer) => writer.writeMany(contents(), { maxBytes: 4 }));
    await expect(writing).rejects.toMatchObject({ code: 'file_too_large' });
    expect(await blobs.usage()).toMatchObject({ blobs: 0 });
    expect(await readdir(join(app.blobDir, 'staging'))).toEqual([]);
  });

  it('holds no database connection while the disk works', async () => {
    let release = () => {};
    const stuck = new Promise<void>((resolve) => (release = resolve));
    const commit = store.commit.bind(store);
    const commits = vi.spyOn(store, 'commit').mockImplementation(async (staged) => {
      await stuck;
      return commit(staged);
    });
    const writes = Array.from({ length: 50 }, () => write('the same for all'));
    await vi.waitFor(() => expect(commits).toHaveBeenCalled());
    // Ten connections are all there are.
    const queries = Array.from({ length: 10 }, () => app.prisma.$queryRaw`SELECT 1 FROM pg_sleep(0.01)`);
    await Promise.all(queries);
    release();
    const written = await Promise.all(writes);
    expect(new Set(written.map((blob) => blob.sha256)).size).toBe(1);
    expect(await text(written[0]!.sha256)).toBe('the same for all');
  });
});

describe('concat', () => {
  it('joins in order and shows every byte to the tap', async () => {
    const parts = [await write('one '), await write('two '), await write('one ')];
    const seen: Buffer[] = [];
    const blob = await blobs.write(
      blobs.concat(
        parts.map((part) => part.sha256),
        (chunk) => void seen.push(chunk),
      ),
    );
    expect(await text(blob.sha256)).toBe('one two one ');
    expect(Buffer.concat(seen).toString()).toBe('one two one ');
    expect(blob.bytes).toBe(12);
  });

  it('fails whole when a part is missing', async () => {
    const { sha256 } = await write('there');
    await expect(blobs.write(blobs.concat([sha256, 'f'.repeat(64)]))).rejects.toBeInstanceOf(
      BlobMissingError,
    );
    expect(await readdir(join(app.blobDir, 'staging'))).toEqual([]);
  });
});
