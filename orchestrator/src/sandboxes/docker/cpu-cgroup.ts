/**
 * The CPU cgroup of a sandbox: what it has used, and its weight among the other sandboxes. cgroup v1 and v2.
 * Synchronous, because kernfs answers from memory in some 20 µs.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cgroupDirectory, parseProcessCgroup } from './cgroup.js';

/** What Docker gives a container that asks for nothing, and a fiftieth of it. */
const WEIGHTS = {
  1: { file: 'cpu.shares', full: '1024', low: '20' },
  2: { file: 'cpu.weight', full: '100', low: '2' },
};
/** Where the kernel has it: runs only while no one of full weight wants to, who never waits for it. */
const IDLE = 'cpu.idle';

/** Microseconds. Whoever meets a limit waits for the rest of a period: short, so that nobody notices. */
const PERIOD_US = 10_000;
const LONGEST_PERIOD_US = 1_000_000;
/** The kernel takes no less. */
const LEAST_QUOTA_US = 1_000;

/** Lets a cgroup use so many CPUs at most; `undefined` is all. Throws what the kernel says. */
export function writeCpuLimit(directory: string, version: 1 | 2, cpus: number | undefined): void {
  if (cpus === undefined) {
    writeFileSync(
      join(directory, version === 1 ? 'cpu.cfs_quota_us' : 'cpu.max'),
      version === 1 ? '-1' : 'max',
    );
    return;
  }
  const period = Math.round(Math.min(LONGEST_PERIOD_US, Math.max(PERIOD_US, LEAST_QUOTA_US / cpus)));
  const quota = Math.max(LEAST_QUOTA_US, Math.round(cpus * period));
  if (version === 2) {
    writeFileSync(join(directory, 'cpu.max'), `${quota} ${period}`);
    return;
  }
  // One after the other, and neither may give it more than its parent has in between.
  writeFileSync(join(directory, 'cpu.cfs_quota_us'), '-1');
  writeFileSync(join(directory, 'cpu.cfs_period_us'), String(period));
  writeFileSync(join(directory, 'cpu.cfs_quota_us'), String(quota));
}

export function hasCpuLimit(directory: string, version: 1 | 2): boolean {
  try {
    const text = readFileSync(join(directory, version === 1 ? 'cpu.cfs_quota_us' : 'cpu.max'), 'utf8');
    return !/^(-1|max)\b/.test(text);
  } catch {
    return false;
  }
}

/** CPU time in milliseconds, from what the kernel says in a cgroup's directory. */
export function usedMs(directory: string, version: 1 | 2): number | undefined {
  try {
    if (version === 1) return Number(readFileSync(join(directory, 'cpuacct.usage'), 'utf8')) / 1e6;
    const found = /^usage_usec (\d+)$/m.exec(readFileSync(join(directory, 'cpu.stat'), 'utf8'))?.[1];
    return found === undefined ? undefined : Number(found) / 1_000;
  } catch {
    return undefined;
  }
}

export interface CpuPlaces {
  readonly version: 1 | 2;
  /** Where the weight is written, and where the time is read: two hierarchies on some hosts with v1. */
  readonly weights: string;
  readonly times: string;
}

/** `/proc/<pid>/cgroup` and our mounts → where the CPU cgroup of container `engineId` is. */
export function cpuPlaces(cgroups: string, mountinfo: string, engineId: string): CpuPlaces | undefined {
  const directory = (controller: string) => {
    const place = parseProcessCgroup(cgroups, controller);
    // Seen from another name space of processes the pid is somebody else's, and so would the weight be.
    if (place === undefined || !place.path.includes(engineId)) return undefined;
    const path = cgroupDirectory(mountinfo, place, controller);
    return path === undefined ? undefined : { path, version: place.version };
  };
  const [weights, times] = [directory('cpu'), directory('cpuacct')];
  if (weights === undefined || times === undefined || weights.version !== times.version) return undefined;
  return { version: weights.version, weights: weights.path, times: times.path };
}

export class CpuCgroup {
  private readonly places: CpuPlaces;
  private readonly cpus: number | undefined;

  /** `cpus`: what the operator lets a sandbox use at most, if anything. */
  constructor(places: CpuPlaces, cpus?: number) {
    this.places = places;
    this.cpus = cpus;
  }

  /** That of a container whose first process is `pid`; `undefined` when the host hides it. */
  static async of(pid: number, engineId: string, cpus?: number): Promise<CpuCgroup | undefined> {
    try {
      const [cgroups, mountinfo] = await Promise.all([
        readFile(`/proc/${pid}/cgroup`, 'utf8'),
        readFile('/proc/self/mountinfo', 'utf8'),
      ]);
      const places = cpuPlaces(cgroups, mountinfo, engineId);
      return places === undefined ? undefined : new CpuCgroup(places, cpus);
    } catch {
      return undefined;
    }
  }

  /** CPU time since the sandbox began, in milliseconds; `undefined` when it has ended. */
  usedMs(): number | undefined {
    return usedMs(this.places.times, this.places.version);
  }

  /** False when the host does not let us, or the sandbox has ended. */
  giveWay(givesWay: boolean): boolean {
    const { weights, version } = this.places;
    const idle = join(weights, IDLE);
    try {
      if (existsSync(idle)) {
        writeFileSync(idle, givesWay ? '1' : '0');
      } else {
        const { file, full, low } = WEIGHTS[version];
        writeFileSync(join(weights, file), givesWay ? low : full);
      }
      return true;
    } catch {
      return false;
    }
  }

  /** At most so many CPUs from now on; what the operator said if absent. Best effort. */
  limit(cpus?: number): void {
    const { weights, version } = this.places;
    const most = cpus === undefined ? this.cpus : Math.min(cpus, this.cpus ?? cpus);
    try {
      writeCpuLimit(weights, version, most);
    } catch {
      // It has ended, or its weight could not be set either.
    }
  }
}
