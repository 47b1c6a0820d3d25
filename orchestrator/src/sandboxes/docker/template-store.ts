/**
 * Images of templates on disk, each in a folder named by its key:
 *
 *   <root>/<key>/                checkpoint.img, pages.img, pages_meta.img as gVisor wrote them
 *   <root>/<key>/template.json   their sizes, and the SHA-256 of pages.img; written last, so that what a crash left
 *                                is not taken for whole
 *
 * Servers may share a root. Only what nobody has used for long is removed.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { cp, mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sync } from '../../common/durable.js';

const MANIFEST = 'template.json';
const CHUNK = 1_048_576;
/** Templates that are kept in any case, the last used first: going back to the release before finds its own. */
const KEPT = 3;
/** Milliseconds after its last use in which no other is removed: a server that uses one marks it every hour. */
const UNUSED_MS = 86_400_000;
/** Milliseconds after which an unfinished one belongs to a server that has died. */
const UNFINISHED_MS = 3_600_000;

type Sizes = Readonly<Record<string, number>>;

async function sizesIn(folder: string): Promise<Sizes> {
  const names = (await readdir(folder)).filter((name) => name !== MANIFEST).toSorted();
  const sizes = names.map(async (name) => [name, (await stat(join(folder, name))).size] as const);
  return Object.fromEntries(await Promise.all(sizes));
}

async function move(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EXDEV')) throw error;
    await cp(from, to, { recursive: true });
    await rm(from, { recursive: true, force: true });
  }
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

export interface StoredTemplate {
  readonly folder: string;
  /** Differs where one byte of its pages does: images of others may be kept as their difference to it. */
  readonly pagesId: string;
}

interface Manifest {
  readonly files: Sizes;
  readonly pagesId: string;
}

export class TemplateStore {
  constructor(private readonly root: string) {}

  /** The template of this key, if there is a whole one. */
  async find(key: string): Promise<StoredTemplate | undefined> {
    const folder = join(this.root, key);
    try {
      const { files, pagesId } = JSON.parse(await readFile(join(folder, MANIFEST), 'utf8')) as Manifest;
      if (JSON.stringify(files) !== JSON.stringify(await sizesIn(folder))) return undefined;
      const now = new Date();
      await utimes(folder, now, now);
      return { folder, pagesId };
    } catch {
      return undefined;
    }
  }

  /**
   * Takes over the image in the folder `image`, which is gone afterwards. Where there is one of this key, that one stays.
   * Rejects if it is no whole one.
   */
  async keep(key: string, image: string): Promise<StoredTemplate> {
    const sizes = await sizesIn(image);
    if (!(Number(sizes['checkpoint.img']) > 0 && Number(sizes['pages.img']) > 0))
      throw new Error('the checkpoint has left no image');
    await mkdir(this.root, { recursive: true, mode: 0o700 });
    const unfinished = join(this.root, `${key}.${randomBytes(4).toString('hex')}.unfinished`);
    await move(image, unfinished);
    // So that no loss of power leaves a manifest whose files have holes.
    for (const name of Object.keys(sizes)) await sync(join(unfinished, name));
    const pagesId = await sha256(join(unfinished, 'pages.img'));
    await writeFile(join(unfinished, MANIFEST), JSON.stringify({ files: sizes, pagesId } satisfies Manifest));
    await sync(join(unfinished, MANIFEST));
    const folder = join(this.root, key);
    try {
      await rename(unfinished, folder);
      return { folder, pagesId };
    } catch (error) {
      // Another server was quicker, and may be at it already.
      const other = await this.find(key);
      if (other === undefined) throw error;
      await rm(unfinished, { recursive: true, force: true });
      return other;
    }
  }

  /** Idempotent. */
  async drop(key: string): Promise<void> {
    await rm(join(this.root, key), { recursive: true, force: true });
  }

  /** Removes what no server has used for long. */
  async sweep(now = Date.now()): Promise<void> {
    const names = await readdir(this.root).catch(() => []);
    const found = await Promise.all(
      names.map(async (name) => ({
        path: join(this.root, name),
        finished: !name.endsWith('.unfinished'),
        usedAt: (await stat(join(this.root, name)).catch(() => undefined))?.mtimeMs ?? 0,
      })),
    );
    const others = found.filter(({ finished }) => finished).toSorted((a, b) => b.usedAt - a.usedAt);
    const unused = others.slice(KEPT).filter(({ usedAt }) => now - usedAt > UNUSED_MS);
    const dead = found.filter(({ finished, usedAt }) => !finished && now - usedAt > UNFINISHED_MS);
    for (const { path } of [...unused, ...dead]) await rm(path, { recursive: true, force: true });
  }
}
