/** n8n's own REST interface, as its editor uses it. */
import { eventually } from '../../support/api.js';
import type { N8nVersion } from './version.js';
import type { Item, Workflow } from './workflow.js';

export interface NodeRun {
  readonly data?: Readonly<Record<string, readonly (readonly Item[] | null)[]>>;
  readonly error?: NodeFault;
  readonly executionStatus?: string;
}

export interface NodeFault {
  readonly name: string;
  readonly message: string;
  readonly description?: string | null;
  readonly httpCode?: string | null;
  readonly context?: Readonly<Record<string, unknown>>;
  readonly node?: { readonly name: string };
}

export interface Stored {
  readonly id: string;
  readonly status: string;
  readonly mode: string;
  readonly data: {
    readonly resultData: {
      readonly runData: Readonly<Record<string, readonly NodeRun[]>>;
      readonly error?: NodeFault;
    };
  };
}

/** A workflow whose triggers work by themselves. */
export interface Published {
  readonly id: string;
  unpublish(): Promise<void>;
  /** Oldest first. */
  executions(): Promise<readonly string[]>;
}

/** n8n 2.20 cannot show an execution in the moment before it stores its data. */
function notYet(error: Error): Stored {
  if (!error.message.includes("reading 'resultData'")) throw error;
  return { id: '', status: 'running', mode: '', data: { resultData: { runData: {} } } };
}

const UNFINISHED = new Set(['new', 'running', 'waiting']);
const RUN_TIMEOUT_MS = 110_000;

/** What n8n writes executions in: one flat list of values whose strings and members are indexes. */
export function unflatten(text: string): unknown {
  const values = JSON.parse(text) as unknown[];
  const done = new Map<number, unknown>();
  const at = (index: number): unknown => {
    const value = values[index];
    if (typeof value !== 'object' || value === null) return value;
    if (done.has(index)) return done.get(index);
    const made: Record<string, unknown> | unknown[] = Array.isArray(value) ? [] : {};
    done.set(index, made);
    for (const [key, each] of Object.entries(value)) {
      (made as Record<string, unknown>)[key] = typeof each === 'string' ? at(Number(each)) : each;
    }
    return made;
  };
  return at(0);
}

/** One finished (or waiting) execution. */
export class Run {
  constructor(
    readonly stored: Stored,
    private readonly n8n: N8n,
  ) {}

  get id(): string {
    return this.stored.id;
  }

  get status(): string {
    return this.stored.status;
  }

  get error(): NodeFault | undefined {
    return this.stored.data.resultData.error;
  }

  /** What a node gave out when it ran for the last time. */
  items(node: string, output = 0, type = 'main'): readonly Item[] {
    const runs = this.stored.data.resultData.runData[node];
    if (!runs) throw new Error(`${node} did not run: ${this.status} ${JSON.stringify(this.error)}`);
    const last = runs.at(-1)!;
    if (last.error) throw new Error(`${node}: ${JSON.stringify(last.error)}`);
    return last.data?.[type]?.[output] ?? [];
  }

  /** The JSON of the only item of a node. */
  json<T = Readonly<Record<string, unknown>>>(node: string): T {
    const items = this.items(node);
    if (items.length !== 1) throw new Error(`${node} gave out ${items.length} items`);
    return items[0]!.json as T;
  }

  ran(node: string): readonly NodeRun[] {
    return this.stored.data.resultData.runData[node] ?? [];
  }

  /** The content of a file, as the editor's preview and download get it. */
  async file(item: Item, property: string, action: 'view' | 'download' = 'download'): Promise<Buffer> {
    const reply = await this.n8n.binary(item, property, action);
    if (!reply.ok) throw new Error(`${property}: ${reply.status} ${await reply.text()}`);
    return Buffer.from(await reply.arrayBuffer());
  }
}

export class N8n {
  constructor(
    readonly url: string,
    private readonly cookie: string,
    readonly version: N8nVersion,
  ) {}

  async request(method: string, path: string, body?: unknown): Promise<Response> {
    return await fetch(`${this.url}${path}`, {
      method,
      headers: {
        cookie: this.cookie,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(60_000),
    });
  }

  /** The `data` of an answer that must be a success. */
  async ok<T>(method: string, path: string, body?: unknown): Promise<T> {
    const reply = await this.request(method, path, body);
    const text = await reply.text();
    if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${text}`);
    const parsed = (text === '' ? {} : JSON.parse(text)) as { data?: T };
    return (parsed.data ?? parsed) as T;
  }

  async addCredential(name: string, type: string, data: Readonly<Record<string, unknown>>): Promise<string> {
    return (await this.ok<{ id: string }>('POST', '/rest/credentials', { name, type, data })).id;
  }

  async removeCredential(id: string): Promise<void> {
    await this.ok('DELETE', `/rest/credentials/${id}`);
  }

  async save(workflow: Workflow): Promise<{ id: string; versionId: string }> {
    // n8n 1 wants to be told that it does not start by itself.
    return await this.ok('POST', '/rest/workflows', { active: false, ...workflow });
  }

  /** Presses “Execute workflow”; the execution's id. */
  async start(workflow: Workflow, trigger = workflow.nodes[0]!.name): Promise<string> {
    return await this.startSaved((await this.save(workflow)).id, trigger);
  }

  async startSaved(id: string, trigger: string): Promise<string> {
    const started = await this.ok<{ executionId?: string }>('POST', `/rest/workflows/${id}/run`, {
      triggerToStartFrom: { name: trigger },
      ...(this.takesWorkflows ? { workflowData: await this.ok('GET', `/rest/workflows/${id}`) } : {}),
    });
    if (started.executionId === undefined)
      throw new Error(`n8n waits for a call: ${JSON.stringify(started)}`);
    return started.executionId;
  }

  async execution(id: string): Promise<Stored> {
    const { data, ...rest } = await this.ok<Omit<Stored, 'data'> & { data: string }>(
      'GET',
      `/rest/executions/${id}`,
    );
    return { ...rest, data: unflatten(data) as Stored['data'] };
  }

  /** Waits for the end of an execution. */
  async ended(id: string, isWanted = (status: string) => !UNFINISHED.has(status)): Promise<Run> {
    const stored = await eventually(
      () => this.execution(id).catch(notYet),
      // Older ones say how it ended a moment before they store the data.
      ({ status, data }) => isWanted(status) && (status === 'canceled' || data !== undefined),
      RUN_TIMEOUT_MS,
    );
    if (!isWanted(stored.status)) throw new Error(`execution ${id} is still ${stored.status}`);
    return new Run(stored, this);
  }

  /** Publishes a workflow, and waits until its triggers are there. */
  async publish(workflow: Workflow): Promise<Published> {
    const { id, versionId } = await this.save(workflow);
    await this.setActive(id, versionId, true);
    return {
      id,
      unpublish: () => this.setActive(id, versionId, false),
      executions: async () => {
        const filter = encodeURIComponent(JSON.stringify({ workflowId: id }));
        const { results } = await this.ok<{ results: { id: string }[] }>(
          'GET',
          `/rest/executions?filter=${filter}`,
        );
        return results.map((each) => each.id).toReversed();
      },
    };
  }

  /** Whether nodes hear that an execution has ended; what they keep for it lives on in older versions. */
  get tellsEnds(): boolean {
    return this.version.name === 'newest';
  }

  /** Whether a run by hand takes the workflow, not the stored one, as the editor of these versions sends it. */
  private get takesWorkflows(): boolean {
    return this.version.major === 1 || (this.version.major === 2 && this.version.minor < 20);
  }

  private async setActive(id: string, versionId: string, active: boolean): Promise<void> {
    if (this.version.major === 1) {
      await this.ok('PATCH', `/rest/workflows/${id}`, { active, versionId });
      return;
    }
    if (active) await this.ok('POST', `/rest/workflows/${id}/activate`, { versionId });
    else await this.ok('POST', `/rest/workflows/${id}/deactivate`, {});
    // Older ones answer when it is done.
    if (this.version.name === 'newest') await this.reaches(id, active ? 'published' : 'not_published');
  }

  private async reaches(id: string, wanted: string): Promise<void> {
    const state = await eventually(
      () => this.ok<{ status: string; triggers: unknown }>('GET', `/rest/workflows/${id}/publication-status`),
      ({ status }) => status === wanted || status === 'failed',
      60_000,
    );
    if (state.status !== wanted) throw new Error(`workflow ${id} is ${JSON.stringify(state)}`);
  }

  async run(workflow: Workflow, trigger?: string): Promise<Run> {
    return await this.ended(await this.start(workflow, trigger));
  }

  async binary(item: Item, property: string, action: 'view' | 'download'): Promise<Response> {
    const binary = item.binary?.[property];
    if (!binary) throw new Error(`there is no ${property} among ${Object.keys(item.binary ?? {}).join()}`);
    if (binary.id === undefined) return new Response(Buffer.from(binary.data ?? '', 'base64'));
    const query = new URLSearchParams({ id: binary.id, action, mimeType: binary.mimeType });
    if (binary.fileName !== undefined) query.set('fileName', binary.fileName);
    return await this.request('GET', `/rest/binary-data?${query.toString()}`);
  }
}
