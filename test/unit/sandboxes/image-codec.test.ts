import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pack, readHeader, unpack } from '../../../orchestrator/src/sandboxes/docker/image-codec.js';
import { ImageThread } from '../../../orchestrator/src/sandboxes/docker/image-thread.js';

const PAGE = 4_096;
/** More than one window of 256 pages. */
const MANY = 700;

let folder: string;
let key: Buffer;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'codec-'));
  key = randomBytes(32);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const pagesOf = (count: number) => Array.from({ length: count }, () => randomBytes(PAGE));

/** A page that differs in a few bytes. */
function touched(page: Buffer): Buffer {
  const copy = Buffer.from(page);
  copy[17]! ^= 1;
  copy[3_000]! ^= 0xff;
  return copy;
}

/** Packs it, unpacks it, and gives the size of the packed file. */
async function roundTrip(pages: readonly Buffer[], template: readonly Buffer[] | undefined): Promise<number> {
  const files = {
    'checkpoint.img': randomBytes(30_001),
    'pages_meta.img': Buffer.alloc(0),
    'pages.img': Buffer.concat(pages),
  };
  const [image, back] = [join(folder, 'image'), join(folder, 'back')];
  mkdirSync(image);
  mkdirSync(back);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(image, name), content);
  const base = template && join(folder, `template-${randomBytes(4).toString('hex')}`);
  if (base !== undefined) writeFileSync(base, Buffer.concat(template!));
  const file = join(folder, 'packed');
  const bytes = await pack({ kind: 'pack', image, file, template: base, key, header: { who: 'me' } });
  expect(bytes).toBe(statSync(file).size);
  await unpack({ kind: 'unpack', image: back, file, template: base, key });
  for (const [name, content] of Object.entries(files))
    expect([name, readFileSync(join(back, name)).equals(content)]).toEqual([name, true]);
  expect(await readHeader(file)).toMatchObject({ who: 'me', sizes: { 'checkpoint.img': 30_001 } });
  return bytes;
}

describe('an image', () => {
  const template = pagesOf(MANY);

  it.each<readonly [string, () => readonly Buffer[], number]>([
    ['of the same pages', () => template, 0],
    ['of no page', () => [], 0],
    ['with pages that differ a little', () => template.map((page, at) => (at % 5 ? page : touched(page))), 5],
    [
      'with new pages in between',
      () => [...template.slice(0, 300), ...pagesOf(20), ...template.slice(300)],
      20,
    ],
    ['without some of the pages', () => [...template.slice(0, 100), ...template.slice(400)], 0],
    ['with pages in another order', () => [...template.slice(350), ...template.slice(0, 350)], 0],
    ['with a page many times', () => Array.from({ length: 600 }, () => template[650]!), 0],
    ['that goes on after the template', () => [...template, ...pagesOf(300)], 300],
    ['of other pages alone', () => pagesOf(MANY), MANY],
  ])('%s comes back to the byte, and is as large as what is new', async (_, pages, fresh) => {
    const bytes = await roundTrip(pages(), template);
    // Beside new pages: the two other files, and some bytes for each run.
    expect(bytes).toBeLessThan(30_001 + fresh * PAGE * 1.01 + 6_000);
  });

  it('comes back without a template, and with one of a single page', async () => {
    await roundTrip(pagesOf(300), undefined);
    rmSync(join(folder, 'image'), { recursive: true });
    rmSync(join(folder, 'back'), { recursive: true });
    await roundTrip(pagesOf(300), pagesOf(1));
  });

  it('is not made of what has no whole pages', async () => {
    for (const name of ['checkpoint.img', 'pages_meta.img', 'pages.img'])
      writeFileSync(join(folder, name), Buffer.alloc(PAGE + 1));
    const job = { kind: 'pack', image: folder, file: join(folder, 'p'), key, header: {} } as const;
    await expect(pack(job)).rejects.toThrow('pages');
  });
});

describe('a packed image', () => {
  let file: string;
  let base: string;
  beforeEach(async () => {
    [file, base] = [join(folder, 'packed'), join(folder, 'base')];
    const pages = pagesOf(20);
    writeFileSync(base, Buffer.concat(pages));
    writeFileSync(join(folder, 'checkpoint.img'), 'state');
    writeFileSync(join(folder, 'pages_meta.img'), 'meta');
    writeFileSync(
      join(folder, 'pages.img'),
      Buffer.concat(pages.map((page, at) => (at % 2 ? page : touched(page)))),
    );
    await pack({ kind: 'pack', image: folder, file, template: base, key, header: { who: 'me' } });
  });

  const open = (changes = {}) => {
    const image = join(folder, 'back');
    mkdirSync(image, { recursive: true });
    return unpack({ kind: 'unpack', image, file, template: base, key, ...changes });
  };

  it('opens, in a thread as well', async () => {
    await open();
    const thread = new ImageThread();
    mkdirSync(join(folder, 'again'));
    await thread.run({ kind: 'unpack', image: join(folder, 'again'), file, template: base, key });
    const same = (name: string) =>
      readFileSync(join(folder, name)).equals(readFileSync(join(folder, 'again', name)));
    expect(same('pages.img')).toBe(true);
    await expect(
      thread.run({ kind: 'unpack', image: join(folder, 'nowhere'), file, template: base, key }),
    ).rejects.toThrow('ENOENT');
    await thread.close();
  });

  it('opens with no byte changed, wherever it is', async () => {
    const bytes = readFileSync(file);
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 1;
      writeFileSync(file, changed);
      await expect(open(), `byte ${at}`).rejects.toThrow();
    }
    for (const length of [0, 11, 30, bytes.length - 60, bytes.length - 16, bytes.length - 1]) {
      writeFileSync(file, bytes.subarray(0, length));
      await expect(open(), `${length} bytes`).rejects.toThrow();
    }
    writeFileSync(file, bytes);
    await open();
  });

  it('does not open with another key, nor without its template', async () => {
    await expect(open({ key: randomBytes(32) })).rejects.toThrow();
    await expect(open({ template: undefined })).rejects.toThrow('template');
    writeFileSync(base, randomBytes(PAGE));
    await expect(open()).rejects.toThrow('shorter');
  });
});
