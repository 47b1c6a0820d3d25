/**
 * The host folders of sandboxes: one each, named like its Docker container.
 *
 *   <root>/<name>/channel   bind mount; holds the supervisor's socket and nothing else
 *   <root>/<name>/data      bind mount that gVisor replaces by a sized file system of its own
 *   <root>/<name>/tmp       the same for /tmp
 *   <root>/<name>/image     what a checkpoint of the sandbox is written to; not seen by the guest
 *   <root>/<name>/origin    the image that it is woken from, until it runs; only made then
 *
 * The host never looks into `data` and `tmp`, and never follows a link in any of them.
 */
import { chmod, chown, lstat, mkdir, readdir, rm, stat, statfs } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';

export interface SandboxFolders {
  readonly channel: string;
  readonly data: string;
  readonly tmp: string;
  readonly image: string;
  readonly origin: string;
}

/** What `stat` counts in, whatever the file system's are. */
const BLOCK_BYTES = 512;

/** User code's uid and gid in the sandbox. */
export const GUEST_UID = 1000;

export class ChannelDir {
  private readonly root: string;
  private readonly prefix: string;

  /** Only folders whose name starts with `prefix` are ours. */
  constructor(root: string, prefix: string) {
    if (!isAbsolute(root)) throw new Error(`the folder of the channels must be absolute: ${root}`);
    this.root = root;
    this.prefix = prefix;
  }

  folders(name: string): SandboxFolders {
    const own = this.own(name);
    return {
      channel: join(own, 'channel'),
      data: join(own, 'data'),
      tmp: join(own, 'tmp'),
      image: join(own, 'image'),
      origin: join(own, 'origin'),
    };
  }

  async create(name: string): Promise<SandboxFolders> {
    const folders = this.folders(name);
    await mkdir(this.root, { recursive: true, mode: 0o700 });
    await mkdir(this.own(name), { mode: 0o700 });
    for (const folder of [folders.channel, folders.data, folders.tmp, folders.image])
      await mkdir(folder, { mode: 0o700 });
    // Matters only for a runtime without our mount hints, where the guest sees these very folders.
    if (process.getuid?.() === 0) await chown(folders.data, GUEST_UID, GUEST_UID);
    await chmod(folders.tmp, 0o1777);
    return folders;
  }

  /** Bytes that its data and its /tmp take on the disk. */
  async usedBytes(name: string): Promise<number> {
    const { data, tmp } = this.folders(name);
    let blocks = 0;
    for (const folder of [data, tmp]) {
      const files = await readdir(folder).catch(() => []);
      for (const file of files)
        blocks += (await lstat(join(folder, file)).catch(() => undefined))?.blocks ?? 0;
    }
    return blocks * BLOCK_BYTES;
  }

  /** Of the disk that the folders are on. */
  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.root);
    return bavail * bsize;
  }

  /** A start that still waits for the image in there fails then, instead of being in the way of its removal. */
  async removeOrigin(name: string): Promise<void> {
    await rm(this.folders(name).origin, { recursive: true, force: true });
  }

  /** Idempotent. */
  async remove(name: string): Promise<void> {
    await rm(this.own(name), { recursive: true, force: true, maxRetries: 3, retryDelay: 50 });
  }

  /** Every folder of ours, also those of a process that has died. */
  async list(): Promise<readonly { readonly name: string; readonly createdAt: Date }[]> {
    const found: { name: string; createdAt: Date }[] = [];
    for (const name of await readdir(this.root).catch(() => [])) {
      if (!name.startsWith(this.prefix)) continue;
      const status = await stat(join(this.root, name)).catch(() => undefined);
      if (status?.isDirectory() === true) found.push({ name, createdAt: status.ctime });
    }
    return found;
  }

  private own(name: string): string {
    if (!name.startsWith(this.prefix) || !/^[a-z0-9-]+$/.test(name)) {
      throw new Error(`not the name of a sandbox of ours: ${JSON.stringify(name)}`);
    }
    return join(this.root, name);
  }
}
