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
import { copyFile, link, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { SandboxId, SandboxSpec } from '../sandbox.driver.js';
import { readHeader } from './image-codec.js';
import type { ImageThread } from './image-thread.js';
import type { Template } from './templates.js';

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

  constructor(
    private readonly root: string,
    private readonly key: Uint8Array,
    private readonly thread: ImageThread,
  ) {}

  async list(): Promise<readonly Sleeper[]> {
    const names = await readdir(this.root).catch(() => []);
    const ids = names.filter((name) => name.endsWith(ASLEEP)).map((name) => name.slice(0, -ASLEEP.length));
    const found = await Promise.all(ids.map((id) => this.find(id)));
    return found.filter((each) => each !== undefined);
  }

  /** `undefined` where there is none, or none that could be read. */
  async find(id: string): Promise<Sleeper | undefined> {
    const known = this.known.get(id);
    try {
      const { size } = await stat(this.file(id));
      if (known !== undefined) return known;
      const header = headerSchema.parse(await readHeader(this.file(id)));
      const { labels = {}, ...sizes } = header.spec;
      const sleeper = { ...header, spec: { ...sizes, labels }, id: id as SandboxId, bytes: size };
      this.known.set(id, sleeper);
      return sleeper;
    } catch {
      this.known.delete(id);
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
    await mkdir(this.root, { recursive: true, mode: 0o700 });
    const base = template?.pagesId ?? null;
    if (template !== undefined) await this.keepBase(template);
    const unfinished = join(this.root, `${id}.${randomBytes(4).toString('hex')}${UNFINISHED}`);
    const header = { ...record, base, sleptAt: new Date() };
    try {
      const bytes = await this.thread.run({
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
    await this.thread.run({
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

  /** Removes what a crash left, and bases that nobody needs. Called at the start, before anything is kept. */
  async sweep(): Promise<void> {
    const names = await readdir(this.root).catch(() => []);
    const needed = new Set((await this.list()).map(({ base }) => base));
    for (const name of names) {
      const isUnneeded = name.endsWith(BASE) && !needed.has(name.slice(0, -BASE.length));
      if (isUnneeded || name.endsWith(UNFINISHED)) await rm(join(this.root, name), { force: true });
    }
  }

  private async keepBase({ folder, pagesId }: Template): Promise<void> {
    const [from, to] = [join(folder, 'pages.img'), this.basePath(pagesId)];
    try {
      await link(from, to);
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : '';
      if (code === 'EEXIST') return;
      if (code !== 'EXDEV' && code !== 'EPERM' && code !== 'EMLINK') throw error;
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
