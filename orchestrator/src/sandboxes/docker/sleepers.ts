/**
 * Sandboxes that sleep, on disk: all that is left of each is one encrypted file.
 *
 *   <root>/<sandbox>.sleep      what it was and its memory, as the difference to a base (image-codec.ts)
 *   <root>/<pages>.base         pages of the template that others are the difference to: a hard link, so that it
 *                               stays when the template goes
 *
 * Tenants' memory lies here: the folder is ours alone, and the key is not in it.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, link, mkdir, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { Semaphore } from '../../common/mutex.js';
import type { SandboxId, SandboxSpec } from '../sandbox.driver.js';
import { readHeader } from './image-codec.js';
import { ImageThread } from './image-thread.js';
import type { Template } from './templates.js';

/** Headers that are read at the same time. */
const READS = 16;
const ASLEEP = '.sleep';
const BASE = '.base';
const UNFINISHED = '.unfinished';

const headerSchema = z.object({
  createdAt: z.coerce.date(),
  sleptAt: z.coerce.date(),
  spec: z.object({
    memoryBytes: z.number(),
    dataBytes: z.number(),
    maxFiles: z.number(),
    labels: z.record(z.string(), z.string()).optional(),
  }),
  imageId: z.string(),
  base: z.string().nullable(),
});

/** Of a failed call of the system; empty for any other error. */
const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';

/** What stays of a sandbox beside its memory. */
export interface SleeperRecord {
  readonly createdAt: Date;
  readonly spec: SandboxSpec;
  /** Docker's id of the image of its file system. */
  readonly imageId: string;
}

export interface Sleeper extends SleeperRecord {
  readonly id: SandboxId;
  readonly sleptAt: Date;
  /** On disk. */
  readonly bytes: number;
  readonly base: string | null;
}

export class Sleepers {
  /** Headers do not change; the files are looked at each time. */
  private readonly known = new Map<string, Sleeper>();

  /** Two, so that nobody who wakes waits for a large one that falls asleep. */
  private readonly packing = new ImageThread();
  private readonly unpacking = new ImageThread();
  private readonly gate = new Semaphore(READS);

  constructor(
    private readonly root: string,
    private readonly key: Uint8Array,
  ) {}

  async list(): Promise<readonly Sleeper[]> {
    const found = await Promise.all((await this.ids()).map((id) => this.find(id)));
    return found.filter((each) => each !== undefined);
  }

  /** `undefined` where there is none, or one that is none of ours. */
  find(id: string): Promise<Sleeper | undefined> {
    const file = this.file(id);
    return this.gate.run(() => this.read(id, file));
  }

  private async read(id: string, file: string): Promise<Sleeper | undefined> {
    const known = this.known.get(id);
    try {
      const { size } = await stat(file);
      if (known !== undefined) return known;
      const header = headerSchema.parse(await readHeader(file));
      const { labels = {}, ...sizes } = header.spec;
      const sleeper = { ...header, spec: { ...sizes, labels }, id: id as SandboxId, bytes: size };
      this.known.set(id, sleeper);
      return sleeper;
    } catch (error) {
      this.known.delete(id);
      // A system that cannot read it now may be able to later.
      if (codeOf(error) !== '' && codeOf(error) !== 'ENOENT') throw error;
      return undefined;
    }
  }

  /** Packs the image in this folder. When it resolves, it is on the disk. */
  async keep(
    id: string,
    record: SleeperRecord,
    image: string,
    template: Template | undefined,
  ): Promise<number> {
    const base = template?.pagesId ?? null;
    if (template !== undefined) await this.keepBase(template);
    const unfinished = join(this.root, `${id}.${randomBytes(4).toString('hex')}${UNFINISHED}`);
    const header = { ...record, base, sleptAt: new Date() };
    try {
      const bytes = await this.packing.run({
        kind: 'pack',
        image,
        file: unfinished,
        template: base === null ? undefined : this.basePath(base),
        key: this.key,
        header,
      });
      await rename(unfinished, this.file(id));
      this.known.delete(id);
      return bytes;
    } catch (error) {
      await rm(unfinished, { force: true });
      throw error;
    }
  }

  /** Writes its image into this folder. Rejects if one byte is not as it was written. */
  async unpack({ id, base }: Sleeper, image: string): Promise<void> {
    await this.unpacking.run({
      kind: 'unpack',
      image,
      file: this.file(id),
      template: base === null ? undefined : this.basePath(base),
      key: this.key,
    });
  }

  /** Idempotent. Nobody wakes it any more when this resolves. */
  async forget(id: string): Promise<void> {
    this.known.delete(id);
    await rm(this.file(id), { force: true });
  }

  /**
   * Removes what a crash left, files that are none of ours, and bases that nobody needs. Called at the start, before
   * anything is kept; rejects, before it has removed a base, where one cannot be read.
   */
  async sweep(): Promise<void> {
    const asleep = await this.list();
    const needed = new Set([
      ...asleep.map(({ id }) => basename(this.file(id))),
      ...asleep.map(({ base }) => `${base}${BASE}`),
    ]);
    for (const name of await readdir(this.root).catch(() => []))
      if (!needed.has(name)) await rm(join(this.root, name), { force: true });
  }

  /** Of the disk that they are on. */
  async freeBytes(): Promise<number> {
    await mkdir(this.root, { recursive: true, mode: 0o700 });
    const { bavail, bsize } = await statfs(this.root);
    return bavail * bsize;
  }

  async close(): Promise<void> {
    await Promise.all([this.packing.close(), this.unpacking.close()]);
  }

  private async ids(): Promise<readonly string[]> {
    const names = await readdir(this.root).catch(() => []);
    return names.filter((name) => name.endsWith(ASLEEP)).map((name) => name.slice(0, -ASLEEP.length));
  }

  private async keepBase({ folder, pagesId }: Template): Promise<void> {
    const [from, to] = [join(folder, 'pages.img'), this.basePath(pagesId)];
    try {
      await link(from, to);
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return;
      if (!['EXDEV', 'EPERM', 'EMLINK'].includes(codeOf(error))) throw error;
      const copy = `${to}${UNFINISHED}`;
      await copyFile(from, copy, constants.COPYFILE_FICLONE);
      await rename(copy, to);
    }
  }

  private basePath(pagesId: string): string {
    if (!/^[0-9a-f]{64}$/.test(pagesId)) throw new Error('the image names no base');
    return join(this.root, `${pagesId}${BASE}`);
  }

  private file(id: string): string {
    if (!/^[a-z0-9-]{1,60}$/.test(id)) throw new Error('not the name of a sandbox');
    return join(this.root, `${id}${ASLEEP}`);
  }
}
