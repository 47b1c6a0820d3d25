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
import { Hibernation } from './hibernation.js';
import { HostCheck, type HostFacts } from './host-check.js';
import { HostLimits } from './host-limits.js';
import { SandboxRemoval } from './sandbox-removal.js';
import { fromLabels, installationPrefix } from './sandbox-labels.js';
import { SandboxStarter, type Started, type StartOrder } from './sandbox-starter.js';
import { Sleepers } from './sleepers.js';
import { isHopeless, StartOrders } from './start-orders.js';
import { goneError } from './supervisor-errors.js';
import { DockerTemplateHost } from './template-host.js';
import { type TemplateHost, Templates } from './templates.js';

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
  /** None sleeps if absent. */
  readonly hibernation?: {
    /** Where those that sleep are kept. */
    readonly dir: string;
    /** 32 bytes that their memory is encrypted with. */
    readonly key: Uint8Array;
    /** A sandbox whose memory and files take more stays awake. */
    readonly mostBytes: number;
    /** Bytes of the disk that stay free. */
    readonly floorBytes: number;
  };
  /** Start sandboxes although the runtime does not isolate them. For tests of the tests only. */
  readonly allowInsecure: boolean;
  readonly logger: DriverLogger;
}

const newId = (): SandboxId => randomBytes(10).toString('hex') as SandboxId;

/** For `catch`. */
function unlessGone(error: unknown): undefined {
  if (error instanceof SandboxError && error.code === 'gone') return undefined;
  throw error;
}

export class DockerSandboxDriver extends SandboxDriver {
  private readonly options: DockerDriverOptions;
  private readonly engine: DockerEngine;
  private readonly channels: ChannelDir;
  private readonly hostCheck: HostCheck;
  private readonly sandboxes = new Map<SandboxId, DockerSandbox>();
  /** Neither listed nor anybody else's business until they are up. */
  private readonly starting = new Set<string>();
  private readonly limits: HostLimits;
  private readonly removal: SandboxRemoval;
  private readonly starter: SandboxStarter;
  private readonly templates: Templates | undefined;
  private readonly orders: StartOrders;
  private readonly sleepers: Sleepers | undefined;
  private readonly hibernation: Hibernation | undefined;
  private swept: Promise<void> | undefined;
  private readonly closing = new AbortController();

  constructor(options: DockerDriverOptions) {
    super();
    this.options = options;
    this.engine = new DockerEngine(options.dockerHost);
    const prefix = installationPrefix(options.installationId);
    this.limits = new HostLimits(options, prefix.slice(0, -1));
    this.orders = new StartOrders(options, this.limits);
    this.channels = new ChannelDir(options.channelDir, prefix);
    this.removal = new SandboxRemoval(this.engine, this.channels, options.logger);
    this.starter = new SandboxStarter(this.engine, this.channels, this.removal, options.logger);
    this.templates = options.templates && new Templates(this.templateHost(options.templates));
    const { hibernation } = options;
    this.sleepers = hibernation && new Sleepers(hibernation.dir, hibernation.key);
    this.hibernation = hibernation && this.sleepers && this.makeHibernation(hibernation, this.sleepers);
    this.hostCheck = new HostCheck({
      engine: this.engine,
      channels: this.channels,
      runtime: options.runtime,
      image: options.image,
      allowInsecure: options.allowInsecure,
      settings: (spec, annotations) => this.probeSettings(spec, annotations),
      finished: (name) => void this.starting.delete(this.orders.idOf(name)),
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
    const host = await this.ready();
    return this.begin(host, this.limits.fitting(asked), signal);
  }

  override async list(): Promise<readonly SandboxInfo[]> {
    // Looked at first: a container is known to the engine before it has a cgroup.
    const cgroups = this.limits.cgroups();
    const [containers, folders, asleep] = await Promise.all([
      this.engine.list(this.options.installationId),
      this.channels.list(),
      this.sleepers?.list() ?? [],
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
        state: running && !this.removal.isOwed(this.orders.nameOf(id)) ? 'running' : 'dead',
        memoryBytes,
        createdAt: record.createdAt,
        labels: free,
      });
    }
    for (const { id, spec, createdAt, bytes, sleptAt } of asleep) {
      if (found.get(id)?.state === 'running') continue;
      const { memoryBytes, labels = {} } = spec;
      found.set(id, {
        id,
        state: 'asleep',
        memoryBytes,
        createdAt,
        labels,
        asleep: { since: sleptAt, bytes },
      });
    }
    // A folder without a container is what a crash left; destroying it as a sandbox removes it.
    for (const { name, createdAt } of folders) {
      const id = this.orders.idOf(name);
      if (found.has(id) || this.starting.has(id) || this.sandboxes.has(id)) continue;
      found.set(id, { id, state: 'dead', memoryBytes: 0, createdAt, labels: {} });
    }
    return [...found.values()];
  }

  override async attach(id: SandboxId): Promise<Sandbox> {
    const known = this.sandboxes.get(id);
    if (known !== undefined) return known;
    return (await this.reattach(id)) ?? (await this.wake(id));
  }

  override async isAsleep(id: SandboxId): Promise<boolean> {
    return !this.sandboxes.has(id) && (await this.sleepers?.find(id)) !== undefined;
  }

  override async hibernate(id: SandboxId): Promise<void> {
    const sandbox = this.sandboxes.get(id);
    if (sandbox === undefined) throw goneError();
    if (this.hibernation === undefined || !(await this.canSleep()))
      throw new SandboxError('busy', 'sandboxes of this server cannot sleep');
    try {
      await this.hibernation.sleep(sandbox);
      this.dropped(sandbox);
    } catch (error) {
      if (!(error instanceof SandboxError && error.code === 'busy')) this.dropped(sandbox);
      throw error;
    }
  }

  override async giveUpAsleep(id: SandboxId): Promise<void> {
    // What is being woken of it has been read, or fails as if it had been gone before.
    await this.sleepers?.forget(id);
  }

  override async destroy(id: SandboxId): Promise<void> {
    const sandbox = this.sandboxes.get(id);
    this.sandboxes.delete(id);
    sandbox?.end();
    const name = this.orders.nameOf(id);
    await this.sleepers?.forget(id);
    await this.removal.remove(name);
  }

  override async memory(): Promise<{ readonly usedBytes: number; readonly hostFreeBytes: number }> {
    let usedBytes = 0;
    for (const sandbox of this.sandboxes.values()) usedBytes += sandbox.usedBytes;
    return { usedBytes, hostFreeBytes: await this.limits.freeBytes() };
  }

  override async close(): Promise<void> {
    this.closing.abort();
    for (const sandbox of this.sandboxes.values()) sandbox.detach();
    this.sandboxes.clear();
    this.limits.close();
    await this.sleepers?.close();
  }

  /** As they can be cloned, they can sleep: both need an image that comes to life. */
  private async canSleep(): Promise<boolean> {
    try {
      await (this.swept ??= this.sleepers?.sweep());
      return (await this.templates?.prepared(await this.ready())) !== undefined;
    } catch (error) {
      this.swept = undefined;
      this.options.logger.warn({ err: error }, 'whether sandboxes can sleep could not be found out');
      return false;
    }
  }

  /** One that an earlier process left running. */
  private async reattach(id: SandboxId): Promise<Sandbox | undefined> {
    const name = this.orders.nameOf(id);
    // Docker answers nothing about a container whose start waits for the image of a server that has died.
    await this.channels.removeOrigin(name);
    const state = await this.engine.inspect(name).catch(unlessGone);
    const record = state && fromLabels(state.labels);
    if (state?.running !== true || record === undefined) return undefined;
    const { channel } = this.channels.folders(name);
    const client = await reconnectSupervisor(channel, this.options.startTimeoutMs).catch(unlessGone);
    if (client === undefined) return undefined;
    // Its image is there where it was woken and nobody has used it yet.
    await this.sleepers?.forget(id);
    return this.adopt(id, record.spec, { client, state, restored: false });
  }

  private async wake(id: SandboxId): Promise<Sandbox> {
    const sandbox = await this.hibernation?.wake(id);
    if (sandbox === undefined) throw goneError();
    return sandbox;
  }

  /** Made from the template, or from nothing where there is none or that does not work out. */
  private async begin(host: HostFacts, spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox> {
    const template = await this.templates?.current(host, spec);
    if (template !== undefined) {
      try {
        const clone = await this.start(this.orders.clone(newId(), spec, host.annotations, template, signal));
        this.templates?.worked();
        return clone;
      } catch (error) {
        if (isHopeless(error, signal)) throw error;
        this.templates?.failed(error);
      }
    }
    return this.start(this.orders.fresh(newId(), spec, host.annotations, signal));
  }

  private async start(order: StartOrder): Promise<DockerSandbox> {
    const { id, spec } = order;
    this.starting.add(id);
    try {
      const started = await this.starter.start(order);
      return await this.adopt(id, spec, started);
    } finally {
      this.starting.delete(id);
    }
  }

  private async adopt(
    id: SandboxId,
    spec: SandboxSpec,
    { client, state, restored }: Started,
  ): Promise<DockerSandbox> {
    const sandbox = new DockerSandbox({
      id,
      spec,
      client,
      isClaimed: restored,
      cgroup: await MemoryCgroup.of(state.pid),
      restartTimeoutMs: this.options.startTimeoutMs,
      codeBegins: () => this.limits.wantsCpu(id),
      inspectEnd: () => this.engine.inspect(this.orders.nameOf(id)),
    });
    this.sandboxes.set(id, sandbox);
    await this.limits.watch(id, state.pid, state.engineId);
    void sandbox.closed.then(() => this.dropped(sandbox));
    return sandbox;
  }

  /** This object is of no more use. */
  private dropped(sandbox: DockerSandbox): void {
    this.limits.unwatch(sandbox.id);
    if (this.sandboxes.get(sandbox.id) === sandbox) this.sandboxes.delete(sandbox.id);
  }

  private templateHost(templates: NonNullable<DockerDriverOptions['templates']>): TemplateHost {
    return new DockerTemplateHost(templates, {
      engine: this.engine,
      channels: this.channels,
      removal: this.removal,
      starter: this.starter,
      orders: this.orders,
      headroomBytes: this.options.headroomBytes,
      logger: this.options.logger,
      signal: this.closing.signal,
      aside: this.starting,
      newId,
      start: (order) => this.start(order),
      destroy: (id) => this.destroy(id),
    });
  }

  private makeHibernation(
    { mostBytes, floorBytes }: NonNullable<DockerDriverOptions['hibernation']>,
    sleepers: Sleepers,
  ): Hibernation {
    return new Hibernation({
      mostBytes,
      floorBytes,
      engine: this.engine,
      channels: this.channels,
      removal: this.removal,
      sleepers,
      logger: this.options.logger,
      nameOf: (id) => this.orders.nameOf(id),
      template: () => this.templates?.known() ?? Promise.resolve(undefined),
      restore: async (sleeper, fill) => {
        const host = await this.ready();
        return this.start(this.orders.woken(sleeper, host.annotations, fill));
      },
    });
  }

  /** What must be so before any sandbox starts. */
  private async ready(): Promise<HostFacts> {
    const host = await this.hostCheck.requireIsolation();
    await this.limits.prepare(host.engine.cgroups);
    return host;
  }

  private probeSettings(spec: SandboxSpec, annotations: boolean): Omit<ContainerSettings, 'folders'> {
    const id = `probe-${newId()}`;
    this.starting.add(id);
    return this.orders.settings(id, spec, annotations);
  }
}
