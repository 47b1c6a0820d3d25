/** What each sandbox of this installation is called, and what Docker is told to start it. */
import type { SandboxId, SandboxSpec } from '../sandbox.driver.js';
import type { ContainerSettings } from './container-config.js';
import type { DockerDriverOptions } from './docker.driver.js';
import { isEngineAway } from './engine-errors.js';
import type { HostLimits } from './host-limits.js';
import { installationPrefix, toLabels } from './sandbox-labels.js';
import type { StartOrder } from './sandbox-starter.js';
import type { Sleeper } from './sleepers.js';
import { goneError } from './supervisor-errors.js';
import type { Template } from './templates.js';

/** Milliseconds: a clone that takes longer is given up, and one started from nothing. */
const CLONE_TIMEOUT_MS = 15_000;

export class StartOrders {
  readonly prefix: string;

  constructor(
    private readonly options: DockerDriverOptions,
    private readonly limits: Pick<HostLimits, 'cgroupParent' | 'cpus'>,
  ) {
    this.prefix = installationPrefix(options.installationId);
  }

  /** From nothing. */
  fresh(id: SandboxId, spec: SandboxSpec, annotations: boolean, signal?: AbortSignal): StartOrder {
    const settings = this.settings(id, spec, annotations);
    return { id, spec, settings, timeoutMs: this.options.startTimeoutMs, signal };
  }

  clone(
    id: SandboxId,
    spec: SandboxSpec,
    annotations: boolean,
    template: Template,
    signal?: AbortSignal,
  ): StartOrder {
    const { settings, timeoutMs } = this.fresh(id, spec, annotations);
    return {
      id,
      spec,
      settings: { ...settings, image: template.imageId, restoreFrom: template.folder },
      timeoutMs: Math.min(timeoutMs, CLONE_TIMEOUT_MS),
      signal,
    };
  }

  woken(sleeper: Sleeper, annotations: boolean, fill: (folder: string) => Promise<void>): StartOrder {
    const { id, spec, createdAt, imageId: image } = sleeper;
    const order = this.fresh(id, spec, annotations);
    const labels = toLabels(this.options.installationId, { sandboxId: id, spec, createdAt });
    return { ...order, settings: { ...order.settings, image, labels }, fill };
  }

  settings(id: string, spec: SandboxSpec, annotations: boolean): Omit<ContainerSettings, 'folders'> {
    const { image, runtime, maxProcesses, preload, headroomBytes, installationId } = this.options;
    const { cgroupParent, cpus } = this.limits;
    return {
      name: this.nameOf(id),
      image,
      runtime,
      maxProcesses,
      preload,
      headroomBytes,
      annotations,
      ...(cpus === undefined ? {} : { cpus }),
      ...(cgroupParent === undefined ? {} : { cgroupParent }),
      labels: toLabels(installationId, { sandboxId: id, spec, createdAt: new Date() }),
    };
  }

  /** Of the Docker container, and of the folder. */
  nameOf(id: string): string {
    if (!/^[a-z0-9-]{1,60}$/.test(id)) throw goneError('there is no such sandbox');
    return `${this.prefix}${id}`;
  }

  idOf(name: string): SandboxId {
    return name.slice(this.prefix.length) as SandboxId;
  }
}

/** The engine is away, or nobody wants the sandbox any more: another way to start it would fare no better. */
export function isHopeless(error: unknown, signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true || isEngineAway(error);
}
