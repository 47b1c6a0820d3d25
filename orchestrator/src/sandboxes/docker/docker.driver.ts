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
import { reconnectSupervisor } from './boot.js';
import type { ContainerSettings } from './container-config.js';
import { DockerEngine } from './docker-engine.js';
import { DockerSandbox } from './docker-sandbox.js';
import { HostCheck, type HostFacts } from './host-check.js';
import { HostLimits } from './host-limits.js';
import { SandboxRemoval } from './sandbox-removal.js';
import { fromLabels, installationPrefix, toLabels } from './sandbox-labels.js';
import { SandboxStarter, type Started, type StartOrder } from './sandbox-starter.js';
import { goneError } from './supervisor-errors.js';
import { templateKey } from './template-key.js';
import { TemplateStore } from './template-store.js';
import { type Template, Templates } from './templates.js';

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
  /** Where images of warm sandboxes are kept, and the data limit of those made from them; no clones if absent. */
  readonly templates?: { readonly dir: string; readonly dataBytes: number };
  /** Start sandboxes although the runtime does not isolate them. For tests of the tests only. */
  readonly allowInsecure: boolean;
  readonly logger: DriverLogger;
}

/** Milliseconds: a clone that takes longer is given up, and one started from nothing. */
const CLONE_TIMEOUT_MS = 15_000;

/** How one sandbox is started. */
interface How {
  /** From nothing if absent. */
  readonly template?: Template;
  readonly signal?: AbortSignal | undefined;
  /** For a test: it is never listed. */
  readonly aside?: boolean;
}

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
  private readonly starter: SandboxStarter;
  private readonly templates: Templates | undefined;
  private readonly closing = new AbortController();

  constructor(options: DockerDriverOptions) {
    super();
    this.options = options;
    this.engine = new DockerEngine(options.dockerHost);
    this.prefix = installationPrefix(options.installationId);
    this.limits = new HostLimits(options, this.prefix.slice(0, -1));
    this.channels = new ChannelDir(options.channelDir, this.prefix);
    this.removal = new SandboxRemoval(this.engine, this.channels, options.logger);
    this.starter = new SandboxStarter(this.engine, this.channels, this.removal, options.logger);
    this.templates = options.templates && this.makeTemplates(options.templates);
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

  override async check(): Promise<DriverHealth> {
    const health = await this.hostCheck.check();
    const whyNot = this.templates === undefined ? undefined : this.templates.whyNot;
    return whyNot === undefined
      ? health
      : { ...health, details: { ...health.details, clones: `off: ${whyNot}` } };
  }

  override async create(asked: SandboxSpec, signal?: AbortSignal): Promise<Sandbox> {
    const spec = this.limits.fitting(asked);
    const host = await this.hostCheck.requireIsolation();
    await this.limits.prepare(host.engine.cgroups);
    return this.begin(host, spec, signal);
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
    return this.adopt(id, record.spec, { client, state, restored: false });
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
    this.closing.abort();
    for (const sandbox of this.sandboxes.values()) sandbox.detach();
    this.sandboxes.clear();
    this.limits.close();
    return Promise.resolve();
  }

  /** Made from the template, or from nothing where there is none or that does not work out. */
  private async begin(host: HostFacts, spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox> {
    const template = await this.templates?.current(host, spec);
    if (template === undefined) return this.start(host, spec, { signal });
    try {
      const sandbox = await this.start(host, spec, { template, signal });
      this.templates?.worked();
      return sandbox;
    } catch (error) {
      if (signal?.aborted === true || (error instanceof SandboxError && error.code === 'engine_unavailable'))
        throw error;
      this.templates?.failed(error);
      return this.start(host, spec, { signal });
    }
  }

  private async start(host: HostFacts, spec: SandboxSpec, how: How): Promise<Sandbox> {
    const id = newId();
    this.starting.add(id);
    try {
      const started = await this.starter.start(this.order(host, id, spec, how));
      return await this.adopt(id, spec, started);
    } finally {
      if (how.aside !== true) this.starting.delete(id);
    }
  }

  private order(host: HostFacts, id: SandboxId, spec: SandboxSpec, { template, signal }: How): StartOrder {
    const settings = this.settings(id, spec, host.annotations);
    const { startTimeoutMs } = this.options;
    if (template === undefined) return { id, spec, settings, timeoutMs: startTimeoutMs, signal };
    return {
      id,
      spec,
      settings: { ...settings, image: template.imageId, restoreFrom: template.folder },
      timeoutMs: Math.min(startTimeoutMs, CLONE_TIMEOUT_MS),
      signal,
    };
  }

  private makeTemplates({ dir, dataBytes }: NonNullable<DockerDriverOptions['templates']>): Templates {
    const signal = this.closing.signal;
    return new Templates({
      store: new TemplateStore(dir),
      dataBytes,
      headroomBytes: this.options.headroomBytes,
      logger: this.options.logger,
      key: (host, spec) => templateKey(host, spec, this.settings('template', spec, host.annotations)),
      writeDown: (host, spec, take) => this.writeDown(host, spec, take),
      clone: (host, spec, template) => this.start(host, spec, { template, signal, aside: true }),
      destroy: async ({ id }) => {
        await this.destroy(id);
        this.starting.delete(id);
      },
    });
  }

  private async writeDown(
    host: HostFacts,
    spec: SandboxSpec,
    take: (folder: string) => Promise<string>,
  ): Promise<string> {
    const id = newId();
    const name = this.nameOf(id);
    this.starting.add(id);
    try {
      const { client } = await this.starter.start(
        this.order(host, id, spec, { signal: this.closing.signal }),
      );
      await client.configure(spec, true);
      await client.park();
      await this.engine.checkpoint(name);
      return await take(this.channels.folders(name).image);
    } finally {
      await this.removal.remove(name);
      this.starting.delete(id);
    }
  }

  private async adopt(
    id: SandboxId,
    spec: SandboxSpec,
    { client, state, restored }: Started,
  ): Promise<Sandbox> {
    const sandbox = new DockerSandbox({
      id,
      spec,
      client,
      isClaimed: restored,
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
