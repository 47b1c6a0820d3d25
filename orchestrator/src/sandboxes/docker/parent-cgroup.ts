/**
 * One cgroup above all sandboxes of this installation, so that the host keeps what it needs whatever they
 * do: they share a memory limit that leaves the floor free, a ceiling of CPU time, and weigh less than the
 * server when the CPUs are busy. cgroup v1 and v2; where the host does not let us write there, the engine still puts sandboxes
 * below it, and an operator may set the limits.
 */
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { cgroupDirectories, cgroupDirectory } from './cgroup.js';
import { hasCpuLimit, usedMs, writeCpuLimit } from './cpu-cgroup.js';
import { ceilingCpus } from './fair-share.js';

export interface CgroupSetup {
  /** As the engine names them: `cgroupfs` or `systemd`, 1 or 2. */
  readonly driver: string;
  readonly version: 1 | 2;
}

/** Where it lies when nobody says so. */
const DEFAULT_TOP = '/code-interpreter';
/** A quarter of what every other process or service of the host has: of 1024 in v1, of 100 in v2. */
const CPU_WEIGHT = { 1: ['cpu.shares', '256'], 2: ['cpu.weight', '25'] } as const;
/** At most this part of the host is kept from sandboxes, however high the floor is set. */
const MOST_KEPT = 1 / 4;

export interface HostMemory {
  readonly totalBytes: number;
  /** MemAvailable. */
  readonly freeBytes: number;
  readonly floorBytes: number;
  /** Of the cgroup, with what the kernel could reclaim. */
  readonly usedBytes: number;
}

/** What all sandboxes together may have at most, in bytes, when nothing else needs memory. */
export function capacityBytes(totalBytes: number, floorBytes: number): number {
  return Math.floor(totalBytes - Math.min(floorBytes, totalBytes * MOST_KEPT));
}

/**
 * What they may have now. Between the floor and half of it idle sandboxes are given up in good order; the
 * kernel steps in at half of it, so that it is a sandbox that ends and not a process of the host.
 */
export function limitBytes({ totalBytes, freeBytes, floorBytes, usedBytes }: HostMemory): number {
  const capacity = capacityBytes(totalBytes, floorBytes);
  const kept = totalBytes - capacity;
  return Math.floor(Math.min(capacity, usedBytes + Math.max(0, freeBytes - kept / 2)));
}

/** Docker's name of the parent: a path for cgroupfs; for systemd a slice, which only the operator can make. */
export function parentName(
  { driver }: CgroupSetup,
  top: string | undefined,
  installation: string,
): string | undefined {
  if (driver === 'systemd') return top;
  return join('/', top ?? DEFAULT_TOP, installation);
}

export class ParentCgroup {
  private readonly version: 1 | 2;
  /** By controller; the same directory for all of them with v2. */
  private readonly directories: Readonly<Record<'memory' | 'cpu' | 'cpuacct', string | undefined>>;
  /** In all hierarchies, for the engine makes it in each of them. */
  private readonly everywhere: readonly string[];
  private prepared = false;
  private isCeilingSet = false;

  constructor(
    readonly name: string,
    { version }: CgroupSetup,
    mountinfo = readFileSync('/proc/self/mountinfo', 'utf8'),
  ) {
    this.version = version;
    const of = (controller: string) => cgroupDirectory(mountinfo, { version, path: name }, controller);
    this.directories = { memory: of('memory'), cpu: of('cpu'), cpuacct: of('cpuacct') };
    this.everywhere = cgroupDirectories(mountinfo, { version, path: name });
  }

  /** All sandboxes together are kept from the last half of a CPU. */
  get hasCeiling(): boolean {
    return this.isCeilingSet;
  }

  /** CPU time of all sandboxes so far, in milliseconds; `undefined` when the host hides it. */
  cpuMs(): number | undefined {
    const { cpuacct } = this.directories;
    return cpuacct === undefined ? undefined : usedMs(cpuacct, this.version);
  }

  /**
   * Makes it if it is not there and sets its limits anew; called before each start and every second.
   * False when this host does not let us.
   */
  renew(freeBytes: number, floorBytes: number): boolean {
    const { memory, cpu } = this.directories;
    if (memory === undefined) return false;
    try {
      this.prepare(memory, cpu);
      const usedBytes = Number(readFileSync(join(memory, USAGE[this.version]), 'utf8'));
      const limit = limitBytes({ totalBytes: totalmem(), freeBytes, floorBytes, usedBytes });
      this.setLimit(memory, limit);
      return true;
    } catch {
      this.prepared = false;
      return false;
    }
  }

  /** The engine's ids of the containers that have a cgroup below this one, in any hierarchy. */
  containers(): ReadonlySet<string> {
    return new Set(this.everywhere.flatMap((directory) => childrenOf(directory).filter(isContainerId)));
  }

  /**
   * Removes what is left of these containers, which the engine has no more: one that dies while it starts or
   * removes a container leaves cgroups behind. The kernel keeps any that a process is in. Never throws.
   */
  removeLeftovers(engineIds: readonly string[]): void {
    for (const directory of this.everywhere) {
      for (const id of engineIds.filter(isContainerId)) tryTo(() => rmdirSync(join(directory, id)));
    }
  }

  /** Removes it if no sandbox is in it, and others of its kind that a killed server left. Never throws. */
  remove(): void {
    for (const directory of this.everywhere) {
      tryTo(() => rmdirSync(directory));
      if (!isSlice(this.name)) tryTo(() => rmdirSync(dirname(directory)));
    }
    this.prepared = false;
  }

  private prepare(memory: string, cpu: string | undefined): void {
    if (this.prepared) return;
    if (!isSlice(this.name)) this.everywhere.forEach((directory) => removeEmpty(dirname(directory)));
    for (const directory of new Set([memory, cpu ?? memory])) {
      mkdirSync(directory, { recursive: true });
      if (this.version === 2) enableControllers(directory);
    }
    // Weights count among neighbours, so it is the topmost one of ours that competes with the server.
    if (cpu !== undefined) this.prepareCpu(isSlice(this.name) ? cpu : dirname(cpu));
    this.prepared = true;
  }

  private prepareCpu(top: string): void {
    const [file, weight] = CPU_WEIGHT[this.version];
    tryTo(() => writeFileSync(join(top, file), weight));
    // A slice is the operator's, and so is its quota.
    const isSet = isSlice(this.name) && hasCpuLimit(top, this.version);
    this.isCeilingSet = isSet || tryTo(() => writeCpuLimit(top, this.version, ceilingCpus(cpus().length)));
  }

  /** Fails where the kernel would have to take away more than it can; the next look tries again. */
  private setLimit(memory: string, bytes: number): void {
    tryTo(() => writeFileSync(join(memory, LIMIT[this.version]), String(bytes)));
  }
}

const USAGE = { 1: 'memory.usage_in_bytes', 2: 'memory.current' } as const;
const LIMIT = { 1: 'memory.limit_in_bytes', 2: 'memory.max' } as const;

const isSlice = (name: string): boolean => name.endsWith('.slice');

/** Best effort; false when it failed. */
function tryTo(work: () => void): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}

/** As Docker names a container's cgroup below a parent that is a path. */
const isContainerId = (name: string): boolean => /^[0-9a-f]{64}$/.test(name);

function childrenOf(directory: string): readonly string[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch {
    return [];
  }
}

/** A cgroup with processes or children in it cannot be removed. */
function removeEmpty(top: string): void {
  for (const name of childrenOf(top)) tryTo(() => rmdirSync(join(top, name)));
}

/** In v2 a controller reaches a cgroup only if all those above it hand it down. */
function enableControllers(directory: string): void {
  const parents: string[] = [];
  for (let at = dirname(directory); at.startsWith('/sys/fs/cgroup'); at = dirname(at)) parents.unshift(at);
  for (const parent of [...parents, directory]) {
    tryTo(() => writeFileSync(join(parent, 'cgroup.subtree_control'), '+memory +cpu +pids'));
  }
}
