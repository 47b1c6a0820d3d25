/**
 * The memory cgroup of a sandbox, as the host sees it: cgroup v1 and v2. Everything here is best
 * effort, since a cgroup disappears with its sandbox: an unreadable value is `undefined`.
 */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface CgroupPlace {
  readonly version: 1 | 2;
  /** Path below the mount of the hierarchy, as the process' own /proc entry names it. */
  readonly path: string;
}

/** `/proc/<pid>/cgroup` → where the controller of that process is. */
export function parseProcessCgroup(text: string, controller = 'memory'): CgroupPlace | undefined {
  let unified: string | undefined;
  for (const line of text.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (path === undefined || controllers === undefined) continue;
    if (controllers.split(',').includes(controller)) return { version: 1, path };
    if (controllers === '') unified = path;
  }
  return unified === undefined ? undefined : { version: 2, path: unified };
}

/** mountinfo escapes space, tab, newline and backslash in octal. */
const unescapeMount = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** `/proc/self/mountinfo` → the directory of `place` on this host, in the hierarchy of `controller`. */
export function cgroupDirectory(
  mountinfo: string,
  place: CgroupPlace,
  controller = 'memory',
): string | undefined {
  for (const line of mountinfo.split('\n')) {
    const [before, after] = line.split(' - ');
    const [type, , superOptions] = after?.split(' ') ?? [];
    const fits =
      place.version === 2
        ? type === 'cgroup2'
        : type === 'cgroup' && superOptions?.split(',').includes(controller) === true;
    const [, , , root, mountPoint] = before?.split(' ') ?? [];
    if (!fits || root === undefined || mountPoint === undefined) continue;
    const top = unescapeMount(root);
    // Seen from inside a container, only what lies below our own root of the hierarchy is there.
    if (top !== '/' && place.path !== top && !place.path.startsWith(`${top}/`)) continue;
    return join(unescapeMount(mountPoint), top === '/' ? place.path : place.path.slice(top.length));
  }
  return undefined;
}

/** The directories of `place` in every hierarchy: one with v2, one for each mounted set of controllers with v1. */
export function cgroupDirectories(mountinfo: string, place: CgroupPlace): readonly string[] {
  const found = mountinfo.split('\n').map((line) => {
    const controllers = / - cgroup \S+ (\S+)$/.exec(line)?.[1]?.split(',') ?? ['memory'];
    return cgroupDirectory(line, place, controllers.at(-1));
  });
  return [...new Set(found)].filter((directory) => directory !== undefined);
}

const FILES = {
  1: { usage: 'memory.usage_in_bytes', events: 'memory.oom_control', reclaimable: 'total_' },
  2: { usage: 'memory.current', events: 'memory.events', reclaimable: '' },
} as const;

function numberAfter(text: string, key: string): number | undefined {
  const found = new RegExp(`^${key} (\\d+)$`, 'm').exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}

export class MemoryCgroup {
  private readonly directory: string;
  private readonly files: (typeof FILES)[1 | 2];

  constructor(directory: string, version: 1 | 2) {
    this.directory = directory;
    this.files = FILES[version];
  }

  /** The cgroup of `pid`; `undefined` when the host hides it. */
  static async of(pid: number): Promise<MemoryCgroup | undefined> {
    try {
      const place = parseProcessCgroup(await readFile(`/proc/${pid}/cgroup`, 'utf8'));
      // The root belongs to everybody: its numbers would be somebody else's.
      if (place === undefined || place.path === '/') return undefined;
      const directory = cgroupDirectory(await readFile('/proc/self/mountinfo', 'utf8'), place);
      return directory === undefined ? undefined : new MemoryCgroup(directory, place.version);
    } catch {
      return undefined;
    }
  }

  /**
   * How often the host's kernel killed a process of this sandbox for want of memory. Read around
   * each execution; synchronous, because kernfs answers from memory in some 20 µs.
   */
  oomKills(): number | undefined {
    const text = this.read(this.files.events);
    return text === undefined ? undefined : numberAfter(text, 'oom_kill');
  }

  /** Bytes that the host would get back if the sandbox ended, without what it can reclaim anyway. */
  usedBytes(): number | undefined {
    const usage = this.read(this.files.usage);
    const stat = this.read('memory.stat');
    if (usage === undefined || stat === undefined) return undefined;
    const prefix = this.files.reclaimable;
    const files =
      (numberAfter(stat, `${prefix}active_file`) ?? 0) + (numberAfter(stat, `${prefix}inactive_file`) ?? 0);
    return Math.max(0, Number(usage) - files);
  }

  private read(file: string): string | undefined {
    try {
      return readFileSync(join(this.directory, file), 'utf8');
    } catch {
      return undefined;
    }
  }
}

/** MemAvailable of the host in bytes. Throws where /proc/meminfo does not say. */
export async function hostFreeBytes(): Promise<number> {
  const found = /^MemAvailable:\s+(\d+) kB$/m.exec(await readFile('/proc/meminfo', 'utf8'))?.[1];
  if (found === undefined) throw new Error('/proc/meminfo has no MemAvailable');
  return Number(found) * 1024;
}
