/** What it takes on Docker to make a template and to try it. */
import type { Sandbox, SandboxId, SandboxSpec } from '../sandbox.driver.js';
import type { ChannelDir } from './channel-dir.js';
import type { DockerEngine } from './docker-engine.js';
import type { DriverLogger } from './docker.driver.js';
import type { HostFacts } from './host-check.js';
import type { SandboxRemoval } from './sandbox-removal.js';
import type { SandboxStarter, StartOrder } from './sandbox-starter.js';
import type { StartOrders } from './start-orders.js';
import { templateKey } from './template-key.js';
import { type StoredTemplate, TemplateStore } from './template-store.js';
import type { Template, TemplateHost } from './templates.js';

export interface TemplateHostParts {
  readonly engine: Pick<DockerEngine, 'checkpoint'>;
  readonly channels: Pick<ChannelDir, 'folders'>;
  readonly removal: Pick<SandboxRemoval, 'remove'>;
  readonly starter: SandboxStarter;
  readonly orders: StartOrders;
  readonly headroomBytes: number;
  readonly logger: DriverLogger;
  /** The driver closes. */
  readonly signal: AbortSignal;
  /** Ids of sandboxes that are neither listed nor anybody's. */
  readonly aside: Set<string>;
  newId(): SandboxId;
  start(order: StartOrder): Promise<Sandbox>;
  destroy(id: SandboxId): Promise<void>;
}

export class DockerTemplateHost implements TemplateHost {
  readonly store: TemplateStore;
  readonly dataBytes: number;
  readonly headroomBytes: number;
  readonly logger: DriverLogger;

  constructor(
    { dir, dataBytes }: { readonly dir: string; readonly dataBytes: number },
    private readonly parts: TemplateHostParts,
  ) {
    this.store = new TemplateStore(dir);
    this.dataBytes = dataBytes;
    this.headroomBytes = parts.headroomBytes;
    this.logger = parts.logger;
  }

  key(host: HostFacts, spec: SandboxSpec): Promise<string> {
    return templateKey(host, spec, this.parts.orders.settings('template', spec, host.annotations));
  }

  async writeDown(
    host: HostFacts,
    spec: SandboxSpec,
    take: (folder: string) => Promise<StoredTemplate>,
  ): Promise<StoredTemplate> {
    const { engine, channels, removal, starter, orders, signal, aside } = this.parts;
    const id = this.parts.newId();
    const name = orders.nameOf(id);
    aside.add(id);
    try {
      const { client } = await starter.start(orders.fresh(id, spec, host.annotations, signal));
      await client.configure(spec, true);
      await client.park();
      await engine.checkpoint(name);
      return await take(channels.folders(name).image);
    } finally {
      await removal.remove(name);
      aside.delete(id);
    }
  }

  async clone(host: HostFacts, spec: SandboxSpec, template: Template): Promise<Sandbox> {
    const { orders, signal, aside } = this.parts;
    const id = this.parts.newId();
    const sandbox = await this.parts.start(orders.clone(id, spec, host.annotations, template, signal));
    aside.add(id);
    return sandbox;
  }

  async destroy({ id }: Sandbox): Promise<void> {
    await this.parts.destroy(id);
    this.parts.aside.delete(id);
  }
}
