/** Workflows as n8n stores them, put together in tests. */
import { randomUUID } from 'node:crypto';

export interface Node {
  readonly id: string;
  readonly name: string;
  readonly type: string;
  readonly typeVersion: number;
  readonly position: readonly [number, number];
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly credentials?: Readonly<Record<string, { readonly id: string; readonly name: string }>>;
  readonly [setting: string]: unknown;
}

export type Connections = Record<
  string,
  Record<string, ({ node: string; type: string; index: number }[] | null)[]>
>;

export interface Item {
  readonly json: Readonly<Record<string, unknown>>;
  readonly binary?: Readonly<Record<string, Binary>>;
  readonly pairedItem?: unknown;
  readonly error?: unknown;
}

export interface Binary {
  /** Where n8n keeps the content; absent when `data` holds it as Base64. */
  readonly id?: string;
  readonly data?: string;
  readonly mimeType: string;
  readonly fileName?: string;
  readonly fileExtension?: string;
  readonly fileSize?: string;
}

export interface Workflow {
  readonly name: string;
  readonly nodes: readonly Node[];
  readonly connections: Connections;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly pinData?: Readonly<Record<string, readonly Item[]>>;
}

export const PACKAGE = 'n8n-nodes-code-interpreter';
export const MANUAL = 'n8n-nodes-base.manualTrigger';

/** A node of n8n or of ours (`containers`, `files` …); the last argument sets credentials and settings. */
export function node(
  name: string,
  type: string,
  parameters: Readonly<Record<string, unknown>> = {},
  more: Readonly<Record<string, unknown>> = {},
): Node {
  return {
    id: randomUUID(),
    name,
    type: type.includes('.') ? type : `${PACKAGE}.${type}`,
    typeVersion: 1,
    position: [0, 0],
    parameters,
    ...more,
  };
}

/** `from`'s first output of this kind goes to `to`; sub-nodes connect by `ai_tool` and the like. */
export function connect(connections: Connections, from: string, to: string, type = 'main', output = 0): void {
  const outputs = ((connections[from] ??= {})[type] ??= []);
  while (outputs.length <= output) outputs.push([]);
  (outputs[output] ??= []).push({ node: to, type, index: 0 });
}

/** Each node is followed by the next. */
export function chain(...nodes: readonly Node[]): Workflow {
  const connections: Connections = {};
  for (const [index, each] of nodes.entries()) {
    const next = nodes[index + 1];
    if (next) connect(connections, each.name, next.name);
  }
  const placed = nodes.map((each, index) => ({ ...each, position: [220 * index, 0] as const }));
  return {
    name: `test ${randomUUID().slice(0, 8)}`,
    nodes: placed,
    connections,
    settings: { executionOrder: 'v1' },
  };
}

/** The trigger of a run by hand, with the items that it hands on. */
export const withItems = (workflow: Workflow, items: readonly Item[]): Workflow => ({
  ...workflow,
  pinData: { [workflow.nodes[0]!.name]: items },
});

/** `data` as n8n keeps small files: in the item, as Base64. */
export const inlineFile = (fileName: string, mimeType: string, content: string | Buffer): Binary => ({
  data: Buffer.from(content).toString('base64'),
  mimeType,
  fileName,
});
