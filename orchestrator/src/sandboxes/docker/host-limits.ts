/** What keeps the host's share from all sandboxes together: their parent cgroup, and sizes that fit the host. */
import { totalmem } from 'node:os';
import type { SandboxSpec } from '../sandbox.driver.js';
import { hostFreeBytes } from './cgroup.js';
import { capacityBytes, type CgroupSetup, ParentCgroup, parentName } from './parent-cgroup.js';

export interface HostLimitsOptions {
  /** The cgroup below which all sandboxes run, or the slice with an engine on systemd. */
  readonly cgroupParent?: string;
  /** Memory of the host that sandboxes leave free, in bytes. */
  readonly floorBytes: number;
  /** Bytes between the memory promised to user code and the hard limit of its sandbox. */
  readonly headroomBytes: number;
  readonly logger: { warn(fields: object, message: string): void };
}

export class HostLimits {
  readonly #options: HostLimitsOptions;
  readonly #installation: string;
  #parent: ParentCgroup | undefined;
  #told = false;

  constructor(options: HostLimitsOptions, installation: string) {
    this.#options = options;
    this.#installation = installation;
  }

  /** For Docker; `undefined` before the first `prepare`, and where the engine's own is used. */
  get cgroupParent(): string | undefined {
    return this.#parent?.name;
  }

  /** Called before each start: what all sandboxes share must be limited before the first of them runs. */
  async prepare(setup: CgroupSetup): Promise<void> {
    const name = parentName(setup, this.#options.cgroupParent, this.#installation);
    if (name === undefined) return;
    this.#parent ??= new ParentCgroup(name, setup);
    const isLimited = this.#parent.renew(await hostFreeBytes(), this.#options.floorBytes);
    if (isLimited || this.#told) return;
    this.#told = true;
    this.#options.logger.warn(
      { cgroup: name },
      'the cgroup of all sandboxes cannot be written from here; set a limit of memory for it on the host',
    );
  }

  /** Free memory of the host in bytes; the limit follows it. Called every second. */
  async freeBytes(): Promise<number> {
    const free = await hostFreeBytes();
    this.#parent?.renew(free, this.#options.floorBytes);
    return free;
  }

  /** No more memory than the host has for it: code is told of its end by a limit of its own. */
  fitting(spec: SandboxSpec): SandboxSpec {
    const { floorBytes, headroomBytes } = this.#options;
    const most = capacityBytes(totalmem(), floorBytes) - headroomBytes;
    return spec.memoryBytes <= most ? spec : { ...spec, memoryBytes: most };
  }

  close(): void {
    this.#parent?.remove();
  }
}
