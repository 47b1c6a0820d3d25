/** Sandboxes as Docker containers on gVisor's runsc. The only room that knows Docker. */
import { randomBytes } from 'node:crypto';
import {
  SandboxDriver,
  SandboxError,
  type DriverHealth,
  type Sandbox,
  type SandboxId,
  type SandboxInfo,
  type SandboxSpec,
} from '../sandbox.driver.js';
import { MemoryCgroup } from './cgroup.js';
import { ChannelDir } from './channel-dir.js';
import { bootSupervisor, checkWanted, reconnectSupervisor } from './boot.js';
import { toCreateOptions, type ContainerSettings } from './container-config.js';
import { DockerEngine, type ContainerState } from './docker-engine.js';
import { DockerSandbox } from './docker-sandbox.js';
import { HostCheck } from './host-check.js';
import { HostLimits } from './host-limits.js';
import { SandboxRemoval } from './sandbox-removal.js';
import { fromLabels, installationPrefix, toLabels } from './sandbox-labels.js';
import type { SupervisorClient } from './supervisor-client.js';
import { goneError } from './supervisor-errors.js';

export interface DriverLogger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface DockerDriverOptions {
  /** `unix://…`; Docker's usual socket if absent. */
  readonly dockerHost?: string;
  /** Name under which the engine knows the OCI runtime. */
  readonly runtime: string;
  readonly image: string;
  /** Host folder for one folder per sandbox; absolute. */
  readonly channelDir: string;
  /** Two installations on one engine never touch each other's sandboxes. */
  readonly installationId: string;
  /** Processes and threads that user code may have. */
  readonly maxProcesses: number;
  /** Python modules that are imported when a sandbox is ready. */
  readonly preload: readonly string[];
  /** CPUs per sandbox, e.g. 1.5; no limit if absent. */
  readonly cpus?: number;
  /** The cgroup below which all sandboxes run, or the slice with an engine on systemd. */
  readonly cgroupParent?: string;
  /** Memory of the host that sandboxes leave free, in bytes. */
  readonly floorBytes: number;
  /** Bytes between the memory promised to user code and the host's hard limit. */
  readonly headroomBytes: number;
  /** From `create` to a ready kernel, and for a restarted kernel. Milliseconds. */
  readonly startTimeoutMs: number;
  /** Start sandboxes although the runtime does not isolate them. For tests of the tests only. */
  readonly allowInsecure: boolean;
  readonly logger: DriverLogger;
}

const LOG_LINES = 15;
const MAX_LOG_CHARS = 1_000;

const newId = (): SandboxId => randomBytes(10).toString('hex') as SandboxId;

export class DockerSandboxDriver extends SandboxDriver {
  private readonly options: DockerDriverOptions;
  private readonly engine: DockerEngine;
  private readonly channels: ChannelDir;
  private readonly prefix: string;
  private readonly hostCheck: HostCheck;
  private readonly sandboxes = new Map<SandboxId, DockerSandbox>();
  /** Neither listed nor anybody else's business until they are up. */
  private readonly starting = new Set<string>();
  private readonly limits: HostLimits;
  private readonly removal: SandboxRemoval;

  constructor(options: DockerDriverOptions) {
    super();
    this.options = options;
    this.engine = new DockerEngine(options.dockerHost);
    this.prefix = installationPrefix(options.installationId);
    this.limits = new HostLimits(options, this.prefix.slice(0, -1));
    this.channels = new ChannelDir(options.channelDir, this.prefix);
    this.removal = new SandboxRemoval(this.engine, this.channels, options.logger);
    this.hostCheck = new HostCheck({
      engine: this.engine,
      channels: this.channels,
      runtime: options.runtime,
      image: options.image,
      allowInsecure: options.allowInsecure,
      settings: (spec, annotations) => this.probeSettings(spec, annotations),
      finished: (name) => void this.starting.delete(this.idOf(name)),
    });
  }

  override check(): Promise<DriverHealth> {
    return this.hostCheck.check();
  }

  override async create(asked: SandboxSpec, signal?: AbortSignal): Promise<Sandbox> {
    const spec = this.limits.fitting(asked);
    const facts = await this.hostCheck.requireIsolation();
    await this.limits.prepare(facts.cgroups);
    const id = newId();
    const beganAt = performance.now();
    this.starting.add(id);
    try {
      const sandbox = await this.start(id, spec, facts.annotations, signal);
      this.options.logger.debug(
        { sandboxId: id, tookMs: Math.round(performance.now() - beganAt) },
        'sandbox started',
      );
      return sandbox;
    } catch (error) {
      throw await this.undo(id, error);
    } finally {
      this.starting.delete(id);
    }
  }

  override async list(): Promise<readonly SandboxInfo[]> {
    // Looked at first: a container is known to the engine before it has a cgroup.
    const cgroups = this.limits.cgroups();
    const [containers, folders] = await Promise.all([
      this.engine.list(this.options.installationId),
      this.channels.list(),
    ]);
    this.limits.removeLeftovers(cgroups, containers);
    const found = new Map<string, SandboxInfo>();
    for (const { labels, running } of containers) {
      const record = fromLabels(labels);
      if (record === undefined || this.starting.has(record.sandboxId)) continue;
      const { memoryBytes, labels: free = {} } = record.spec;
      const id = record.sandboxId as SandboxId;
      found.set(id, {
        id,
        state: running && !this.removal.isOwed(this.nameOf(id)) ? 'running' : 'dead',
        memoryBytes,
        createdAt: record.createdAt,
        labels: free,
      });
    }
    // A folder without a container is what a crash left; destroying it as a sandbox removes it.
    for (const { name, createdAt } of folders) {
      const id = this.idOf(name) as SandboxId;
      if (found.has(id) || this.starting.has(id) || this.sandboxes.has(id)) continue;
      found.set(id, { id, state: 'dead', memoryBytes: 0, createdAt, labels: {} });
    }
    return [...found.values()];
  }

  override async attach(id: SandboxId): Promise<Sandbox> {
    const known = this.sandboxes.get(id);
    if (known !== undefined) return known;
    const state = await this.engine.inspect(this.nameOf(id));
    const record = fromLabels(state.labels);
    if (record === undefined || !state.running) throw goneError();
    const client = await reconnectSupervisor(
      this.channels.folders(this.nameOf(id)).channel,
      this.options.startTimeoutMs,
    );
    return this.adopt(id, record.spec, client, state);
  }

  override async destroy(id: SandboxId): Promise<void> {
    const sandbox = this.sandboxes.get(id);
    this.sandboxes.delete(id);
    sandbox?.end();
    await this.removal.remove(this.nameOf(id));
  }

  override async memory(): Promise<{ readonly usedBytes: number; readonly hostFreeBytes: number }> {
    let usedBytes = 0;
    for (const sandbox of this.sandboxes.values()) usedBytes += sandbox.usedBytes;
    return { usedBytes, hostFreeBytes: await this.limits.freeBytes() };
  }

  override close(): Promise<void> {
    for (const sandbox of this.sandboxes.values()) sandbox.detach();
    this.sandboxes.clear();
    this.limits.close();
    return Promise.resolve();
  }

  private async start(
    id: SandboxId,
    spec: SandboxSpec,
    annotations: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Sandbox> {
    const name = this.nameOf(id);
    const bounds = { deadline: Date.now() + this.options.startTimeoutMs, signal };
    checkWanted(signal);
    const folders = await this.channels.create(name);
    const settings = { ...this.settings(id, spec, annotations), folders };
    await this.engine.create(toCreateOptions(spec, settings));
    checkWanted(signal);
    await this.engine.start(name);
    // The cgroup must be known before the first execution, and is there as soon as it runs.
    const [client, state] = await Promise.all([
      bootSupervisor(folders.channel, bounds, () => this.engine.inspect(name)),
      this.engine.inspect(name),
    ]);
    return this.adopt(id, spec, client, state);
  }

  private async adopt(
    id: SandboxId,
    spec: SandboxSpec,
    client: SupervisorClient,
    state: ContainerState,
  ): Promise<Sandbox> {
    const sandbox = new DockerSandbox({
      id,
      spec,
      client,
      cgroup: await MemoryCgroup.of(state.pid),
      restartTimeoutMs: this.options.startTimeoutMs,
      codeBegins: () => this.limits.wantsCpu(id),
      inspectEnd: () => this.engine.inspect(this.nameOf(id)),
    });
    this.sandboxes.set(id, sandbox);
    await this.limits.watch(id, state.pid, state.engineId);
    void sandbox.closed.then(() => {
      this.limits.unwatch(id);
      if (this.sandboxes.get(id) === sandbox) this.sandboxes.delete(id);
    });
    return sandbox;
  }

  /** Removes what a failed start has made, and says why it failed. */
  private async undo(id: SandboxId, error: unknown): Promise<SandboxError> {
    const reason =
      error instanceof SandboxError
        ? error
        : new SandboxError('start_failed', String(error), { cause: error });
    const log = await this.engine.logTail(this.nameOf(id), LOG_LINES).catch(() => '');
    await this.removal.remove(this.nameOf(id)).catch((cause: unknown) => {
      this.options.logger.warn(
        { sandboxId: id, err: cause },
        'a failed start could not be cleaned up; the next sweep tries again',
      );
    });
    if (reason.code === 'engine_unavailable') return reason;
    const tail = log
      .replace(/[^\x20-\x7e\n]/g, '')
      .trim()
      .slice(-MAX_LOG_CHARS);
    const message = tail === '' ? reason.message : `${reason.message}; its log ends with:\n${tail}`;
    this.options.logger.warn({ sandboxId: id, reason: reason.message }, 'sandbox did not start');
    return new SandboxError('start_failed', message, { cause: reason });
  }

  private settings(id: string, spec: SandboxSpec, annotations: boolean): Omit<ContainerSettings, 'folders'> {
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

  private probeSettings(spec: SandboxSpec, annotations: boolean): Omit<ContainerSettings, 'folders'> {
    const id = `probe-${newId()}`;
    this.starting.add(id);
    return this.settings(id, spec, annotations);
  }

  private nameOf(id: string): string {
    if (!/^[a-z0-9-]{1,60}$/.test(id)) throw goneError('there is no such sandbox');
    return `${this.prefix}${id}`;
  }

  private idOf(name: string): string {
    return name.slice(this.prefix.length);
  }
}
