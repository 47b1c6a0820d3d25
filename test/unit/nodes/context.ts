/** A stand-in for what n8n hands to a node: parameters, items, binaries in memory, HTTP by fetch. */
import { Readable } from 'node:stream';
import type {
  IBinaryData,
  IDataObject,
  IExecuteFunctions,
  IHttpRequestOptions,
  INode,
  INodeExecutionData,
  INodeType,
} from 'n8n-workflow';

export interface FakeContextOptions {
  readonly baseUrl: string;
  readonly apiKey?: string;
  readonly parameters?: Readonly<Record<string, unknown>>;
  readonly items?: INodeExecutionData[];
  readonly continueOnFail?: boolean;
  /** As n8n runs the node for an agent. */
  readonly asTool?: boolean;
  readonly executionId?: string;
  readonly onFinish?: (handler: () => unknown) => void;
}

export interface FakeContext extends IExecuteFunctions {
  /** Contents behind the `id` of the binaries that the node made. */
  readonly stored: Map<string, Buffer>;
  readonly finishHandlers: (() => unknown)[];
  readonly stopHandlers: (() => unknown)[];
  /** What the panel shows beside the output. */
  readonly hints: string[];
  readonly waits: Date[];
}

/** Defaults of the node's own description, below what the test sets. */
function defaultsOf(node: INodeType, given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  const shows = (show: Record<string, unknown> | undefined): boolean =>
    Object.entries(show ?? {}).every(([name, wanted]) =>
      (wanted as unknown[]).includes(given[name] ?? values[name]),
    );
  for (const property of node.description.properties) {
    if (Object.hasOwn(values, property.name) || !shows(property.displayOptions?.show)) continue;
    values[property.name] = property.default;
  }
  return { ...values, ...given };
}

const locatorValue = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && 'mode' in value && 'value' in value ? value.value : value;

async function request(options: IHttpRequestOptions, apiKey: string): Promise<unknown> {
  const url = new URL(options.url);
  for (const [key, value] of Object.entries(options.qs ?? {})) url.searchParams.append(key, String(value));
  const isForm = options.body instanceof FormData;
  const response = await fetch(url, {
    method: options.method ?? 'GET',
    headers: {
      authorization: `Bearer ${apiKey}`,
      ...(options.body !== undefined && !isForm ? { 'content-type': 'application/json' } : {}),
    },
    ...(options.body === undefined
      ? {}
      : { body: isForm ? (options.body as FormData) : JSON.stringify(options.body) }),
  });
  const headers = Object.fromEntries(response.headers);
  const content = Buffer.from(await response.arrayBuffer());
  const body = options.encoding === 'stream' ? Readable.from([content]) : parsed(content.toString());
  return { body, headers, statusCode: response.status };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const bufferOf = async (content: Buffer | Readable): Promise<Buffer> => {
  if (Buffer.isBuffer(content)) return content;
  const chunks: Buffer[] = [];
  for await (const chunk of content) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
};

export function fakeContext(node: INodeType, options: FakeContextOptions): FakeContext {
  const items: INodeExecutionData[] = options.items ?? [{ json: {} }];
  const parameters = defaultsOf(node, options.parameters ?? {});
  const stored = new Map<string, Buffer>();
  const finishHandlers: (() => unknown)[] = [];
  const stopHandlers: (() => unknown)[] = [];
  const hints: string[] = [];
  const waits: Date[] = [];
  const self: INode = {
    id: 'node',
    name: node.description.defaults.name ?? 'Node',
    type: `n8n-nodes-code-interpreter.${node.description.name}${options.asTool ? 'Tool' : ''}`,
    typeVersion: 1,
    position: [0, 0],
    parameters: {},
  };
  const binaryOf = (index: number, property: string): IBinaryData => {
    const binary = items[index]?.binary?.[property];
    if (!binary) throw new Error(`There is no binary field '${property}' in item ${index}`);
    return binary;
  };
  const helpers = {
    httpRequestWithAuthentication: async (_type: string, wanted: IHttpRequestOptions) =>
      request(wanted, options.apiKey ?? 'key'),
    assertBinaryData: binaryOf,
    getBinaryDataBuffer: async (index: number, property: string) =>
      Buffer.from(binaryOf(index, property).data, 'base64'),
    getBinaryMetadata: async (id: string) => ({ fileSize: stored.get(id)?.length ?? 0 }),
    getBinaryStream: async (id: string) => Readable.from([stored.get(id) ?? Buffer.alloc(0)]),
    prepareBinaryData: async (content: Buffer | Readable, fileName: string, mimeType: string) => {
      const id = `binary-${stored.size}`;
      stored.set(id, await bufferOf(content));
      return { id, fileName, mimeType, data: 'filesystem' };
    },
  };
  const context = {
    stored,
    finishHandlers,
    stopHandlers,
    hints,
    waits,
    helpers,
    logger: { debug: () => undefined },
    getNode: () => self,
    getInputData: () => items,
    getInstanceId: () => 'instance',
    getWorkflow: () => ({ id: 'flow', name: 'Flow' }),
    getExecutionId: () => options.executionId ?? 'run',
    getCredentials: async () => ({ baseUrl: options.baseUrl, apiKey: options.apiKey ?? 'key' }),
    continueOnFail: () => options.continueOnFail ?? false,
    getNodeParameter: (name: string, _index: number, fallback?: unknown, how?: IDataObject) => {
      const value = parameters[name] ?? fallback;
      return how?.['extractValue'] === true ? locatorValue(value) : value;
    },
    getWorkflowDataProxy: () => ({ $execution: { resumeUrl: 'http://n8n.test/webhook-waiting/run' } }),
    setMetadata: () => undefined,
    putExecutionToWait: async (until: Date) => void waits.push(until),
    onExecutionCancellation: (handler: () => unknown) => void stopHandlers.push(handler),
    addExecutionHints: (...added: { message: string }[]) =>
      void hints.push(...added.map(({ message }) => message)),
    onExecutionFinish: (handler: () => unknown) => void finishHandlers.push(handler),
  };
  return context as unknown as FakeContext;
}

/** Runs the node as n8n does, with defaults for all parameters that are not given. */
export async function runNode(
  node: INodeType,
  options: FakeContextOptions,
): Promise<{ output: INodeExecutionData[]; context: FakeContext }> {
  const context = fakeContext(node, options);
  const output = (await node.execute?.call(context)) as INodeExecutionData[][];
  return { output: output[0] ?? [], context };
}
