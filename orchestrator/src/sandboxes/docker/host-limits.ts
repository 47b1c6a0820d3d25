/**
 * What keeps the host's share from all sandboxes together, and each sandbox's from the others: their parent
 * cgroup, sizes that fit the host, and weights that follow what each uses of the CPUs.
 */
import { cpus, totalmem } from 'node:os';
import type { SandboxSpec } from '../sandbox.driver.js';
import { hostFreeBytes } from './cgroup.js';
import { CpuCgroup } from './cpu-cgroup.js';
import { CpuFairness, hostCpus } from './cpu-fairness.js';
import { ceilingCpus } from './fair-share.js';
import { capacityBytes, type CgroupSetup, ParentCgroup, parentName } from './parent-cgroup.js';

export interface HostLimitsOptions {
  /** The cgroup below which all sandboxes run, or the slice with an engine on systemd. */
  readonly cgroupParent?: string;
  /** Memory of the host that sandboxes leave free, in bytes. */
  readonly floorBytes: number;
  /** Bytes between the memory promised to user code and the hard limit of its sandbox. */
  readonly headroomBytes: number;
  /** CPUs at most per sandbox, as the operator set it. */
  readonly cpus?: number;
  readonly logger: { warn(fields: object, message: string): void };
}

export class HostLimits {
  private readonly options: HostLimitsOptions;
  private readonly installation: string;
  private readonly fairness = new CpuFairness(
    hostCpus(() => this.parent?.cpuMs()),
    () => this.warnOfCpus(),
  );
  private parent: ParentCgroup | undefined;
  private told = false;
  private toldOfCpus = false;

  constructor(options: HostLimitsOptions, installation: string) {
    this.options = options;
    this.installation = installation;
  }

  /** For Docker; `undefined` before the first `prepare`, and where the engine's own is used. */
  get cgroupParent(): string | undefined {
    return this.parent?.name;
  }

  /** CPUs at most of one sandbox, as Docker is asked for; `undefined` where what they share is bounded. */
  get cpus(): number | undefined {
    const ceiling = ceilingCpus(cpus().length);
    const asked = this.options.cpus ?? (this.parent?.hasCeiling === true ? undefined : ceiling);
    // Above the ceiling of its parent the kernel would refuse it.
    return asked === undefined ? undefined : Math.min(asked, ceiling);
  }

  /** Called before each start: what all sandboxes share must be limited before the first of them runs. */
  async prepare(setup: CgroupSetup): Promise<void> {
    const name = parentName(setup, this.options.cgroupParent, this.installation);
    if (name === undefined) return;
    this.parent ??= new ParentCgroup(name, setup);
    const isLimited = this.parent.renew(await hostFreeBytes(), this.options.floorBytes);
    if (isLimited || this.told) return;
    this.told = true;
    this.options.logger.warn(
      { cgroup: name },
      'the cgroup of all sandboxes cannot be written from here; set limits of memory and CPU for it on the host',
    );
  }

  /** `id` runs as the container `engineId` with this first process: its share of the CPUs is watched. */
  async watch(id: string, pid: number, engineId: string): Promise<void> {
    const cgroup = await CpuCgroup.of(pid, engineId, this.cpus);
    if (cgroup === undefined) this.warnOfCpus();
    else this.fairness.add(id, cgroup);
  }

  /** `id` begins to run code: those that have used much make room at once. */
  wantsCpu(id: string): void {
    this.fairness.wants(id);
  }

  unwatch(id: string): void {
    this.fairness.remove(id);
  }

  /** Free memory of the host in bytes; the limit follows it. Called every second. */
  async freeBytes(): Promise<number> {
    const free = await hostFreeBytes();
    this.parent?.renew(free, this.options.floorBytes);
    return free;
  }

  /** No more memory than the host has for it: code is told of its end by a limit of its own. */
  fitting(spec: SandboxSpec): SandboxSpec {
    const { floorBytes, headroomBytes } = this.options;
    const most = capacityBytes(totalmem(), floorBytes) - headroomBytes;
    return spec.memoryBytes <= most ? spec : { ...spec, memoryBytes: most };
  }

  /** The engine's ids of the containers that have a cgroup below ours, dead ones too. */
  cgroups(): ReadonlySet<string> {
    return this.parent?.containers() ?? new Set();
  }

  /** Of `cgroups`, removes those of containers that the engine, asked after them, does not know. */
  removeLeftovers(cgroups: ReadonlySet<string>, containers: readonly { readonly engineId: string }[]): void {
    const known = new Set(containers.map(({ engineId }) => engineId));
    this.parent?.removeLeftovers([...cgroups].filter((id) => !known.has(id)));
  }

  close(): void {
    this.fairness.close();
    this.parent?.remove();
  }

  private warnOfCpus(): void {
    if (this.toldOfCpus) return;
    this.toldOfCpus = true;
    this.options.logger.warn(
      {},
      'the CPU weights of sandboxes cannot be set from here: one that computes for long slows the others down; consider SANDBOX_CPUS',
    );
  }
}
