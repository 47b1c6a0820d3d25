/** What the editor offers for mapping before a node has run is what comes out when it has. */
import { expect, it } from 'vitest';
import { byId, useBench } from './support/nodes.js';
import type { Run } from './support/n8n-client.js';
import { inlineFile, type Node, PACKAGE } from './support/workflow.js';

const { n8n, containers, files, responses, run } = useBench();

interface Schema {
  readonly type: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
}

const typeOf = (value: unknown): string => {
  if (Array.isArray(value)) return 'array';
  return Number.isInteger(value) ? 'integer' : typeof value;
};

/** A value as its schema would be; nothing is said where it is null or an empty list. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : [shapeOf(value[0])];
  if (typeof value !== 'object' || value === null) return value === null ? undefined : typeOf(value);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, shapeOf(each)]));
}

/** A schema in the same form, with the gaps that a value of it has. */
function shapeOfSchema(schema: Schema | undefined, seen: unknown): unknown {
  if (seen === undefined || schema === undefined)
    return schema === undefined ? 'not in the schema' : undefined;
  if (schema.items) return [shapeOfSchema(schema.items, (seen as unknown[])[0])];
  if (!schema.properties) return schema.type;
  const keys = new Set([...Object.keys(schema.properties), ...Object.keys(seen as object)]);
  return Object.fromEntries(
    [...keys].map((key) => [
      key,
      shapeOfSchema(schema.properties?.[key], (seen as Record<string, unknown>)[key]),
    ]),
  );
}

async function expectSchema(result: Run, node: Node): Promise<void> {
  const { resource, operation } = node.parameters as { resource?: string; operation: string };
  const path = [node.type, '1.0.0', ...(resource ? [resource] : []), operation].join('/');
  const reply = await n8n.request('GET', `/schemas/${path}.json`);
  expect(reply.status, path).toBe(200);
  const schema = (await reply.json()) as Schema;
  const [item] = result.items(node.name);
  const seen = shapeOf(item?.json);
  expect(seen, path).toEqual(shapeOfSchema(schema, seen));
}

it('fits for every operation of every node', async () => {
  const id = (name: string) => `={{ $('${name}').item.json.id }}`;
  const inContainer = { resource: 'file', containerId: byId(id('Create')) };
  const CODE = 'open("made.txt", "w").write("x")\nprint(1)';
  const answered = { resource: 'response', responseId: id('Ask') };
  const nodes = [
    containers('Create', { resource: 'container', operation: 'create', name: 'schemas', options: {} }),
    containers('Get', { resource: 'container', operation: 'get', containerId: byId(id('Create')) }),
    containers('List', {
      resource: 'container',
      operation: 'getMany',
      limit: 1,
      filters: { name: 'schemas' },
    }),
    containers('Put', { ...inContainer, operation: 'upload', source: 'text', text: 'a', fileName: 'a.txt' }),
    containers('File', { ...inContainer, operation: 'get', containerFileId: id('Put') }),
    containers('Files', { ...inContainer, operation: 'getMany' }),
    containers('Fetch', {
      ...inContainer,
      operation: 'download',
      containerFileId: id('Put'),
      outputField: 'data',
    }),
    files('Upload', { resource: 'file', operation: 'upload', inputField: 'data', options: {} }),
    files('Stored', { resource: 'file', operation: 'get', fileId: byId(id('Upload')) }),
    files('All', { resource: 'file', operation: 'getMany', limit: 1 }),
    files('Back', {
      resource: 'file',
      operation: 'download',
      fileId: byId(id('Upload')),
      outputField: 'data',
    }),
    files('Link', { resource: 'link', operation: 'create', fileId: byId(id('Upload')), linkHours: 1 }),
    files('Links', { resource: 'link', operation: 'getMany', fileId: byId(id('Upload')), limit: 1 }),
    files('Revoke', {
      resource: 'link',
      operation: 'delete',
      fileId: byId(id('Upload')),
      linkId: id('Link'),
    }),
    files('Forget', { resource: 'file', operation: 'delete', fileId: byId(id('Upload')) }),
    containers('Remove', { ...inContainer, operation: 'delete', containerFileId: id('Put') }),
    responses('Ask', { resource: 'response', operation: 'create', model: byId('python'), prompt: CODE }),
    responses('Answer', { ...answered, operation: 'get' }),
    responses('Waited', { ...answered, operation: 'wait' }),
    responses('Input', { ...answered, resource: 'inputItem', operation: 'getMany' }),
    responses('Dropped', { ...answered, operation: 'delete' }),
    responses('Started', {
      resource: 'response',
      operation: 'create',
      model: byId('python'),
      prompt: 'import time\ntime.sleep(60)',
      runMode: 'start',
    }),
    responses('Stopped', { resource: 'response', operation: 'cancel', responseId: id('Started') }),
    containers('Delete', { resource: 'container', operation: 'delete', containerId: byId(id('Create')) }),
  ];
  const result = await run(
    [{ json: {}, binary: { data: inlineFile('a.txt', 'text/plain', 'a') } }],
    ...nodes,
  );
  expect(result.error).toBeUndefined();
  const described = nodes.filter((node) => node.type.startsWith(PACKAGE));
  expect(described).toHaveLength(nodes.length);
  for (const node of described) await expectSchema(result, node);
});
