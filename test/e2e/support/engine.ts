/**
 * n8n's execution engine (`n8n-core`) in this process, with our packed nodes and no n8n server: a
 * workflow runs in the time that the orchestrator takes. What the editor, the database and the queue add
 * is tested in the other files of this tier.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type {
  IBinaryData,
  IExecuteFunctions,
  INodeExecutionData,
  INodeType,
  IRun,
  IRunExecutionData,
  IWorkflowExecuteAdditionalData,
  Workflow as N8nWorkflow,
} from 'n8n-workflow';
import type { N8nVersion } from './version.js';
import { chain, node, type Node, PACKAGE } from './workflow.js';

interface Cancelable<T> extends Promise<T> {
  cancel(): void;
}

interface Binaries {
  init(): Promise<void>;
  getAsBuffer(binary: IBinaryData): Promise<Buffer>;
}

/** As much of `n8n-core` as is used here. */
interface Core {
  readonly BinaryDataService: new () => Binaries;
  readonly ExecutionLifecycleHooks: new (mode: string, id: string, workflow: N8nWorkflow) => unknown;
  readonly WorkflowExecute: new (
    additional: IWorkflowExecuteAdditionalData,
    mode: string,
    data?: IRunExecutionData,
  ) => {
    run(options: { workflow: N8nWorkflow; startNode: unknown }): Cancelable<IRun>;
    /** Until n8n 2. */
    run(workflow: N8nWorkflow, startNode: unknown): Cancelable<IRun>;
  };
}

const START = 'test.start';
const NODES = {
  containers: 'Containers',
  files: 'Files',
  responses: 'Responses',
} as const;
/** Addresses that n8n tells nodes; nothing is served there. */
const NOWHERE = 'http://127.0.0.1:9/';

function given(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set; run scripts/test-e2e`);
  return value;
}

/** Hands on the items that a test gives. */
const startNode = (items: readonly INodeExecutionData[]): INodeType => ({
  description: {
    displayName: 'Start',
    name: 'start',
    group: ['input'],
    version: 1,
    description: '',
    defaults: { name: 'Start' },
    inputs: [],
    outputs: ['main'],
    properties: [],
  },
  execute: function (this: IExecuteFunctions) {
    return Promise.resolve([[...items]]);
  },
});

export class Engine {
  private readonly folder = mkdtempSync(join(tmpdir(), `code-interpreter-engine-${process.pid}-`));
  private readonly require: NodeJS.Require;
  private readonly core: Core;
  private readonly types: Record<string, INodeType> = {};

  constructor(
    private readonly server: { readonly baseUrl: string; readonly apiKey: string },
    private readonly version: N8nVersion,
  ) {
    this.require = createRequire(join(version.folder, 'node_modules/n8n/package.json'));
    process.env['N8N_USER_FOLDER'] = this.folder;
    process.env['N8N_ENCRYPTION_KEY'] = 'engine-test-key';
    this.require('reflect-metadata');
    this.core = this.require('n8n-core') as Core;
    this.unpack();
  }

  /** Once, before the first run. */
  async start(): Promise<void> {
    await this.binaries.init();
  }

  /** What a binary of an item holds. */
  content(binary: IBinaryData): Promise<Buffer> {
    return this.binaries.getAsBuffer(binary);
  }

  stop(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** One of our nodes. */
  node(type: keyof typeof NODES, parameters: Node['parameters'], settings = {}, name = 'Node'): Node {
    return node(name, type, parameters, {
      credentials: { codeInterpreterApi: { id: '1', name: 'Server' } },
      ...settings,
    });
  }

  /** Runs the nodes one after the other on these items; `cancel()` is n8n's Stop button. */
  run(items: readonly INodeExecutionData[], ...nodes: readonly Node[]): Cancelable<IRun> {
    const { Workflow } = this.require('n8n-workflow') as { Workflow: typeof N8nWorkflow };
    const start = node('Start', START);
    const types: Record<string, INodeType> = { ...this.types, [START]: startNode(items) };
    const workflow = new Workflow({
      id: 'engine',
      active: false,
      ...(chain(start, ...nodes) as unknown as Pick<
        ConstructorParameters<typeof N8nWorkflow>[0],
        'nodes' | 'connections'
      >),
      nodeTypes: {
        getByName: (name) => types[name]!,
        getByNameAndVersion: (name) => types[name]!,
        getKnownTypes: () => ({}),
      },
      settings: { executionOrder: 'v1' },
    });
    const execute = new this.core.WorkflowExecute(this.additional(workflow), 'manual');
    const first = workflow.getNode('Start');
    return this.version.major === 1
      ? execute.run(workflow, first)
      : execute.run({ workflow, startNode: first });
  }

  private get binaries(): Binaries {
    const { Container } = this.require('@n8n/di') as { Container: { get<T>(of: new () => T): T } };
    return Container.get(this.core.BinaryDataService);
  }

  private unpack(): void {
    const target = join(this.folder, PACKAGE);
    mkdirSync(join(target, 'node_modules'), { recursive: true });
    execFileSync('tar', ['-xzf', given('TEST_N8N_PACKAGE'), '--strip-components=1', '-C', target]);
    symlinkSync(
      join(this.version.folder, 'node_modules/n8n-workflow'),
      join(target, 'node_modules/n8n-workflow'),
    );
    for (const [name, folder] of Object.entries(NODES)) {
      const path = join(target, 'dist/nodes', folder, `${folder}.node.js`);
      const loaded = this.require(path) as Record<string, new () => INodeType>;
      this.types[`${PACKAGE}.${name}`] = new loaded[folder]!();
    }
  }

  private additional(workflow: N8nWorkflow): IWorkflowExecuteAdditionalData {
    const nothing = (): void => undefined;
    return {
      executionId: String(Date.now()),
      restApiUrl: NOWHERE,
      instanceBaseUrl: NOWHERE,
      webhookBaseUrl: NOWHERE,
      webhookWaitingBaseUrl: NOWHERE,
      webhookTestBaseUrl: NOWHERE,
      formWaitingBaseUrl: NOWHERE,
      variables: {},
      hooks: new this.core.ExecutionLifecycleHooks('manual', '1', workflow),
      setExecutionStatus: nothing,
      credentialsHelper: {
        getDecrypted: () => Promise.resolve({ ...this.server }),
        isCredentialUsableByNode: () => true,
        getParentTypes: () => [],
        getCredentialsProperties: () => [],
        preAuthentication: () => Promise.resolve(undefined),
        // What `authenticate` of our credential describes; the real helper is part of n8n itself.
        authenticate: (credentials: { apiKey: string }, _type: string, options: { headers?: object }) =>
          Promise.resolve({
            ...options,
            headers: { ...options.headers, Authorization: `Bearer ${credentials.apiKey}` },
          }),
      },
    } as unknown as IWorkflowExecuteAdditionalData;
  }
}

/** What a node gave out. */
export const itemsOf = (run: IRun, name = 'Node'): readonly INodeExecutionData[] =>
  run.data.resultData.runData[name]?.at(-1)?.data?.['main']?.[0] ?? [];
