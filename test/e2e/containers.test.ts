/** Containers: everything but Run Code, in a real n8n. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { byId, CONTINUE, textFile, useBench } from './support/nodes.js';
import { inlineFile, type Node } from './support/workflow.js';

const { n8n, api, containers, run, serverUrl } = useBench();

const container = (name: string, operation: string, parameters = {}, settings = {}): Node =>
  containers(name, { resource: 'container', operation, ...parameters }, settings);
const file = (name: string, operation: string, parameters = {}, settings = {}): Node =>
  containers(name, { resource: 'file', operation, ...parameters }, settings);
const OF_CREATED = { containerId: byId("={{ $('Create').item.json.container_id }}") };

describe('a container', () => {
  it('is created, read, listed by name and deleted', async () => {
    const name = `life ${Date.now()}`;
    const result = await run(
      [{ json: {} }],
      container('Create', 'create', { name, options: { memory: '1g', idleMinutes: 7 } }),
      container('Get', 'get', OF_CREATED),
      container('List', 'getMany', { filters: { name, runningOnly: true } }),
      container('Delete', 'delete', OF_CREATED),
      container('Left', 'getMany', { filters: { name, runningOnly: true } }, { alwaysOutputData: true }),
    );
    const created = result.json('Create');
    expect(created).toMatchObject({ name, memory_limit: '1g', status: 'running' });
    expect(created['expires_after']).toEqual({ anchor: 'last_active_at', minutes: 7 });
    expect(result.json('Get')['container_id']).toBe(created['id']);
    expect(result.items('List').map(({ json }) => json['id'])).toEqual([created['id']]);
    expect(result.json('Delete')).toEqual({ deleted: true, container_id: created['id'] });
    expect(result.items('Left')).toMatchObject([{ json: {} }]);
  });

  it.skipIf(!n8n.tellsEnds)('of a session is made once, and goes with the execution', async () => {
    const create = (name: string): Node =>
      container(name, 'create', { name: '', reuse: true, session: 'execution' });
    const result = await run([{ json: {} }, { json: {} }], create('One'), create('Two'));
    const ids = [...result.items('One'), ...result.items('Two')].map(({ json }) => json['id'] as string);
    expect(ids).toHaveLength(4);
    expect(new Set(ids).size).toBe(1);
    await api.refused(404, 'GET', `/containers/${ids[0]}`);
  });

  it('is made with files in it, of the item and of the server', async () => {
    const stored = await api.upload('stored.txt', 'on the server');
    const result = await run(
      [{ json: {}, binary: { data: inlineFile('held.txt', 'text/plain', 'in the item') } }],
      container('Create', 'create', { options: { inputFiles: `data, ${stored}`, deleteAtEnd: true } }),
      file('Files', 'getMany', OF_CREATED),
    );
    expect(
      result
        .items('Files')
        .map(({ json }) => json['filename'])
        .toSorted(),
    ).toEqual(['held.txt', 'stored.txt']);
    const path = `/containers/${result.json<{ id: string }>('Create').id}`;
    if (n8n.tellsEnds) await api.refused(404, 'GET', path);
    else await api.delete(path);
  });
});

describe('files of a container', () => {
  it('are uploaded from each source, read, downloaded and deleted', async () => {
    const stored = await api.upload('stored.csv', 'a,b\n');
    const one = "={{ $('Binary').item.json.id }}";
    const result = await run(
      [{ json: { text: 'Grüße' } }],
      textFile('greeting.txt'),
      container('Create', 'create', { options: { deleteAtEnd: true } }),
      containers('Text', {
        resource: 'file',
        operation: 'upload',
        ...OF_CREATED,
        source: 'text',
        text: 'typed',
        fileName: 'typed.md',
      }),
      file('Stored', 'upload', { ...OF_CREATED, source: 'fileId', sourceFileId: stored }),
      // Takes the binary of the first node, which is no longer on the item.
      containers('Again', { resource: 'container', operation: 'get', ...OF_CREATED }),
      file('List', 'getMany', { ...OF_CREATED, returnAll: true }),
    );
    expect(result.json('Text')).toMatchObject({ filename: 'typed.md', mime_type: 'text/markdown', bytes: 5 });
    expect(result.json('Stored')).toMatchObject({ filename: 'stored.csv', mime_type: 'text/csv' });
    expect(result.items('List')).toHaveLength(2);
    const binary = await run(
      [{ json: { text: 'Grüße' } }],
      textFile('greeting.txt'),
      file('Binary', 'upload', { containerId: byId(await api.newContainer()), source: 'binary' }),
      file('Get', 'get', { containerId: byId('={{ $json.container_id }}'), containerFileId: one }),
      file('Download', 'download', {
        containerId: byId('={{ $json.container_id }}'),
        containerFileId: one,
        outputField: 'copy',
      }),
      file('Delete', 'delete', { containerId: byId('={{ $json.container_id }}'), containerFileId: one }),
    );
    expect(binary.json('Get')).toMatchObject({ filename: 'greeting.txt', bytes: 7 });
    const [downloaded] = binary.items('Download');
    expect(downloaded?.binary?.['copy']).toMatchObject({ mimeType: 'text/plain', fileName: 'greeting.txt' });
    expect((await binary.file(downloaded!, 'copy')).toString()).toBe('Grüße');
    expect(binary.json('Delete')).toEqual({ deleted: true, id: binary.json('Binary')['id'] });
  });

  it('are listed over several pages', async () => {
    const id = await api.newContainer();
    await api.run(id, 'for n in range(130): open(f"{n:03}.txt", "w").close()');
    const list = (name: string, parameters: object): Node =>
      file(name, 'getMany', { containerId: byId(id), ...parameters }, { executeOnce: true });
    const result = await run(
      [{ json: {} }],
      list('All', { returnAll: true }),
      list('Some', { returnAll: false, limit: 110 }),
      list('Default', {}),
    );
    expect(result.items('All')).toHaveLength(130);
    expect(new Set(result.items('All').map(({ json }) => json['id'])).size).toBe(130);
    expect(result.items('Some')).toHaveLength(110);
    expect(result.items('Default')).toHaveLength(50);
    await api.delete(`/containers/${id}`);
  });
});

describe('what cannot be done', () => {
  const MISSING = { containerId: byId('={{ $json.id }}') };

  it('stops the workflow with what happened, where, and what to do', async () => {
    const { id } = await api.ok<{ id: string }>('POST', '/containers', { name: 'there' });
    const result = await run(
      [{ json: { id } }, { json: { id: 'cntr_0' } }],
      container('Get', 'get', MISSING),
    );
    expect(result.status).toBe('error');
    expect(result.error).toMatchObject({
      name: 'NodeApiError',
      httpCode: '404',
      context: { itemIndex: 1 },
      node: { name: 'Get' },
    });
    expect(result.error?.message).toMatch(/cntr_0/);
    expect(result.error?.description).toMatch(/^Check the ID\./);
    await api.delete(`/containers/${id}`);
  });

  it('is an item where the node continues, and the others are done', async () => {
    const { id } = await api.ok<{ id: string }>('POST', '/containers', { name: 'there' });
    const items = [{ json: { id: 'cntr_0' } }, { json: { id: '' } }, { json: { id } }];
    const regular = await run(items, container('Get', 'get', MISSING, CONTINUE));
    expect(regular.items('Get')).toMatchObject([
      {
        json: { error: expect.stringMatching(/cntr_0/), message: expect.stringMatching(/^Status 404\./) },
        pairedItem: { item: 0 },
      },
      { json: { error: "'Container' is empty [item 1]" }, pairedItem: { item: 1 } },
      { json: { id }, pairedItem: { item: 2 } },
    ]);
    const branched = await run(items, container('Get', 'get', MISSING, { onError: 'continueErrorOutput' }));
    expect(branched.items('Get')).toMatchObject([{ json: { id }, pairedItem: { item: 2 } }]);
    expect(branched.items('Get', 1)).toMatchObject([
      { pairedItem: { item: 0 } },
      { pairedItem: { item: 1 } },
    ]);
    await api.delete(`/containers/${id}`);
  });

  it('names the field whose file is missing', async () => {
    const id = await api.newContainer();
    const result = await run(
      [{ json: {} }],
      file('Up', 'upload', { containerId: byId(id), source: 'binary' }),
    );
    expect(result.error?.message).toMatch(/data/);
    expect(result.error?.context).toMatchObject({ itemIndex: 0 });
    await api.delete(`/containers/${id}`);
  });

  it('is told for a wrong key and for a server that is not there', async () => {
    const wrong = async (data: object) => {
      const id = await n8n.addCredential('wrong', 'codeInterpreterApi', { ...data });
      // The editor chooses the newest one for a new node.
      onTestFinished(() => n8n.removeCredential(id));
      return { credentials: { codeInterpreterApi: { id, name: 'wrong' } } };
    };
    const list = (settings: object): Node => container('List', 'getMany', {}, settings);
    const key = await run([{ json: {} }], list(await wrong({ baseUrl: serverUrl, apiKey: 'sk-wrong' })));
    expect(key.error).toMatchObject({
      name: 'NodeApiError',
      httpCode: '401',
      description: 'Check the API key in the Code Interpreter API credential.',
    });
    const address = await run(
      [{ json: {} }],
      list(await wrong({ baseUrl: 'http://127.0.0.1:1/v1', apiKey: 'k' })),
    );
    expect(address.error?.message).toBe(
      'The Code Interpreter server at http://127.0.0.1:1/v1 could not be reached',
    );
    expect(address.error?.description).toMatch(/^Nothing listens at this address/);
  });
});
