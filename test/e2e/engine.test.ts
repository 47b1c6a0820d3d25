/** Operations in n8n's execution engine alone, against the real server. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { Api, eventually, type Page } from '../support/api.js';
import { Engine, itemsOf } from './support/engine.js';
import { byId } from './support/nodes.js';
import type {} from './support/stage.js';
import type { Node } from './support/workflow.js';

const { serverUrl, apiKey, version } = inject('stage');
const api = new Api(serverUrl, apiKey);
const engine = new Engine({ baseUrl: serverUrl, apiKey }, version);
beforeAll(() => engine.start());
afterAll(() => engine.stop());

const CONTINUE = { onError: 'continueRegularOutput' };
const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47]);
const runCode = (code: string, parameters = {}, settings = {}): Node =>
  engine.node(
    'containers',
    {
      resource: 'container',
      operation: 'runCode',
      code,
      container: 'session',
      session: 'custom',
      sessionKey: 'engine',
      ...parameters,
    },
    settings,
  );

describe('Containers', () => {
  it('runs code on items: rows out with their origin, figures as pictures', async () => {
    const run = await engine.run(
      [{ json: { n: 2 } }, { json: { n: 5 } }],
      runCode(
        "import matplotlib.pyplot as plt\nplt.plot(df['n'])\nplt.show()\ndf['square'] = df['n'] ** 2\nresult = df",
      ),
    );
    const items = itemsOf(run);
    expect(items).toMatchObject([
      { json: { n: 2, square: 4 }, pairedItem: { item: 0 } },
      { json: { n: 5, square: 25 }, pairedItem: { item: 1 } },
    ]);
    const [picture] = items.flatMap(({ binary }) => Object.values(binary ?? {}));
    expect(picture).toMatchObject({ mimeType: 'image/png', fileType: 'image' });
    expect((await engine.content(picture!)).subarray(0, 4)).toEqual(PNG);
  });

  it('is made, read, listed and deleted', async () => {
    const made = { containerId: byId("={{ $('Create').item.json.id }}") };
    const container = (operation: string, parameters = {}) =>
      engine.node('containers', { resource: 'container', operation, ...parameters }, {}, operation);
    const run = await engine.run(
      [{ json: {} }],
      engine.node('containers', { resource: 'container', operation: 'create', name: 'engine' }, {}, 'Create'),
      container('get', made),
      container('getMany', { returnAll: true }),
      { ...container('delete', made), executeOnce: true },
    );
    const id = itemsOf(run, 'Create')[0]!.json['id'];
    expect(itemsOf(run, 'get')[0]!.json).toMatchObject({ id, name: 'engine', status: 'running' });
    expect(itemsOf(run, 'getMany').map(({ json }) => json['id'])).toContain(id);
    expect(itemsOf(run, 'delete')[0]!.json).toEqual({ deleted: true, container_id: id });
  });

  it('is interrupted on the server when the execution is stopped', async () => {
    const container = await api.newContainer();
    const running = engine.run(
      [{ json: {} }],
      runCode('import time\nwhile True:\n    time.sleep(0.1)', {
        container: 'id',
        containerId: byId(container),
      }),
    );
    const statusOf = async () =>
      (await api.ok<Page<{ status: string }>>('GET', `/containers/${container}/executions`)).data[0]?.status;
    await eventually(statusOf, (status) => status === 'running', 60_000);
    running.cancel();
    await running.catch(() => undefined);
    expect(await eventually(statusOf, (status) => status !== 'running', 20_000)).toBe('interrupted');
    await api.delete(`/containers/${container}`);
  });
});

describe('Files', () => {
  it('takes a binary in and gives the same bytes out', async () => {
    const content = randomBytes(300_000);
    const binary = {
      data: { data: content.toString('base64'), mimeType: 'application/zip', fileName: 'a b.zip' },
    };
    const run = await engine.run(
      [{ json: {}, binary }],
      engine.node('files', { operation: 'upload', inputField: 'data', options: {} }, {}, 'Upload'),
      engine.node('files', { operation: 'download', fileId: byId('={{ $json.id }}'), outputField: 'copy' }),
    );
    expect(itemsOf(run, 'Upload')[0]!.json).toMatchObject({ filename: 'a b.zip', bytes: content.length });
    const copy = itemsOf(run)[0]!.binary!['copy']!;
    expect(copy).toMatchObject({ mimeType: 'application/zip', fileName: 'a b.zip' });
    expect((await engine.content(copy)).equals(content)).toBe(true);
  });
});

describe('Responses', () => {
  it('answers with text, code runs and files', async () => {
    const run = await engine.run(
      [{ json: { n: 6 } }],
      engine.node('responses', {
        resource: 'response',
        operation: 'create',
        model: byId('python'),
        prompt: "=open('out.csv', 'w').write('a,{{ $json.n }}')\nprint({{ $json.n }} * 7)",
      }),
    );
    const [item] = itemsOf(run);
    expect(item!.json).toMatchObject({
      status: 'completed',
      code_runs: [{ output: expect.stringContaining('42') }],
    });
    const [file] = Object.values(item!.binary!);
    expect(file).toMatchObject({ fileName: 'out.csv', mimeType: 'text/csv' });
    expect((await engine.content(file!)).toString()).toBe('a,6');
  });
});

describe('an error', () => {
  const missing = (settings = {}): Node =>
    engine.node('files', { operation: 'get', fileId: byId('={{ $json.id }}') }, settings);

  it('ends the execution, and names the item and what to do', async () => {
    const run = await engine.run([{ json: { id: 'file-gone' } }], missing());
    expect(run.status).toBe('error');
    expect(run.data.resultData.error).toMatchObject({
      name: 'NodeApiError',
      httpCode: '404',
      context: { itemIndex: 0 },
      node: { name: 'Node' },
    });
  });

  it('goes on as an item beside the ones that went well, if the node says so', async () => {
    const id = await api.upload('here.txt', Buffer.from('x'));
    const run = await engine.run([{ json: { id: 'file-gone' } }, { json: { id } }], missing(CONTINUE));
    expect(itemsOf(run)).toMatchObject([
      { json: { error: expect.stringContaining('file-gone') as string }, pairedItem: { item: 0 } },
      { json: { id, filename: 'here.txt' }, pairedItem: { item: 1 } },
    ]);
  });
});
