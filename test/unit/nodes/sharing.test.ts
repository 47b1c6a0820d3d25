/** What goes on to mails and chats: lists of attachments, and links to files. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CodeInterpreterTool } from '../../../nodes/CodeInterpreterTool/CodeInterpreterTool.node.js';
import { Containers } from '../../../nodes/Containers/Containers.node.js';
import { Files } from '../../../nodes/Files/Files.node.js';
import { runNode } from './context.js';
import { Endpoint, execution, refusal } from './endpoint.js';

const endpoint = new Endpoint();
beforeAll(() => endpoint.start());
afterAll(() => endpoint.stop());
beforeEach(() => endpoint.forget());

const FILES = [
  { id: 'cfile_a', path: '/mnt/data/chart.png', bytes: 3, change: 'created' },
  { id: 'cfile_b', path: '/mnt/data/table.xlsx', bytes: 3, change: 'created' },
];
const OFF = refusal(403, 'Links are switched off for this project.', 'links_disabled');

/** Each test has a container of its own: what is noted about one outlives the test. */
let container = '';
let count = 0;

function answerWith(more: object = {}, links: (id: string) => unknown = (id) => linkTo(id)): void {
  container = `cntr_${++count}`;
  endpoint.answers['POST /containers'] = { id: container };
  endpoint.answers[`DELETE /containers/${container}`] = { deleted: true };
  endpoint.answers[`POST /containers/${container}/expire`] = { id: container };
  endpoint.answers[`POST /containers/${container}/executions`] = execution({
    container_id: container,
    files: FILES,
    ...more,
  });
  for (const { id } of FILES) {
    endpoint.answers[`GET /containers/${container}/files/${id}/content`] = Buffer.from(id);
    endpoint.answers[`POST /files/${id}/links`] = links(id);
  }
}

const linkTo = (id: string) => ({
  id: `link_${id}`,
  object: 'file.link',
  file_id: id,
  url: `https://files.test/links/t/${id}`,
  expires_at: 1_800_000_000,
});

const runPython = async (parameters: object) =>
  runNode(new Containers(), endpoint.at({ parameters: { code: 'x', ...parameters } }));
const runTool = async (options: object = {}, more: object = {}) =>
  runNode(
    new CodeInterpreterTool(),
    endpoint.at({
      items: [{ json: { code: 'plot()' } }],
      parameters: { chatSessionId: 'chat', options, ...more },
    }),
  );

/** What the step left to be done at the end of the execution. */
const atEnd = async (handlers: (() => unknown)[]): Promise<string[]> => {
  endpoint.asked.length = 0;
  for (const handler of handlers) await handler();
  return endpoint.routes;
};

describe('attachments', () => {
  it('names the binary fields, as nodes that send mail want it', async () => {
    answerWith();
    const { output } = await runPython({ options: { outputField: 'report' } });
    expect(output[0]?.json['attachments']).toBe('report,report_1');
    expect(Object.keys(output[0]?.binary ?? {})).toEqual(['report', 'report_1']);
  });

  it('is empty where nothing is attached', async () => {
    answerWith({ files: [] });
    expect((await runPython({})).output[0]?.json['attachments']).toBe('');
  });

  it('names the one field of each item where files are split', async () => {
    answerWith();
    const { output } = await runPython({ options: { splitFiles: true } });
    expect(output.map(({ json }) => json['attachments'])).toEqual(['data', 'data']);
  });

  it('is not added to rows, which are the data of the code', async () => {
    answerWith({ value: { from: 'result', json: [{ a: 1 }, { a: 2 }] } });
    expect((await runPython({})).output.map(({ json }) => json)).toEqual([{ a: 1 }, { a: 2 }]);
  });

  it('stands beside the only value of the code, unless that has a field of this name', async () => {
    answerWith({ value: { from: 'result', json: { total: 3 } } });
    expect((await runPython({})).output[0]?.json).toEqual({ total: 3, attachments: 'data,data_1' });
    answerWith({ value: { from: 'result', json: { attachments: 'data' } } });
    expect((await runPython({})).output[0]?.json).toEqual({ attachments: 'data' });
    answerWith({ value: { from: 'result', json: { total: 3 } }, files: [] });
    expect((await runPython({})).output[0]?.json).toEqual({ total: 3 });
  });
});

describe('Attach Everything', () => {
  it('makes one item of many rows and files, for one mail', async () => {
    const rows = [{ a: 1 }, { a: 2 }, { a: 3 }];
    answerWith({ value: { from: 'result', json: rows } });
    const { output } = await runPython({ options: { attachEverything: true, splitFiles: true } });
    expect(output).toHaveLength(1);
    expect(output[0]?.json).toMatchObject({ result: rows, attachments: 'data,data_1', status: 'completed' });
    expect(Object.keys(output[0]?.binary ?? {})).toEqual(['data', 'data_1']);
  });
});

describe('links', () => {
  it('stand beside each file where they are asked for', async () => {
    answerWith();
    const { output } = await runPython({ options: { linkHours: 48 } });
    expect(output[0]?.json['files']).toMatchObject([
      { filename: 'chart.png', url: 'https://files.test/links/t/cfile_a', url_expires_at: 1_800_000_000 },
      { filename: 'table.xlsx', url: 'https://files.test/links/t/cfile_b' },
    ]);
    const asked = endpoint.asked.find(({ path }) => path === '/files/cfile_a/links');
    expect(JSON.parse(asked?.body ?? '')).toEqual({
      expires_after: { anchor: 'created_at', seconds: 172_800 },
    });
  });

  it('are made by no step that was not asked for them', async () => {
    answerWith();
    await runPython({});
    expect(endpoint.routes.filter((route) => route.endsWith('/links'))).toEqual([]);
  });

  it('that are switched off stop the step that wants them, and say who can switch them on', async () => {
    answerWith({}, () => OFF);
    await expect(runPython({ options: { linkHours: 1 } })).rejects.toMatchObject({
      message: 'Links are switched off for this project',
      description: expect.stringContaining('The operator of the server') as string,
    });
  });

  it.each([['session'], ['new']])('outlive the container of a step: %s', async (mode) => {
    answerWith();
    const { context } = await runPython({ container: mode, options: { linkHours: 1 } });
    const ends = mode === 'new' ? endpoint.routes.slice(-1) : await atEnd(context.finishHandlers);
    expect(ends).toEqual([`POST /containers/${container}/expire`]);
  });

  it('outlive it also where another step of the execution made none', async () => {
    answerWith();
    const before = await runPython({});
    const after = await runPython({ options: { linkHours: 1 } });
    const ends = await atEnd([...before.context.finishHandlers, ...after.context.finishHandlers]);
    expect(new Set(ends)).toEqual(new Set([`POST /containers/${container}/expire`]));
  });

  it('are not made, and the container goes with its files, without them', async () => {
    answerWith();
    const { context } = await runPython({});
    expect(await atEnd(context.finishHandlers)).toEqual([`DELETE /containers/${container}`]);
  });

  it('are what Create gives', async () => {
    endpoint.answers['POST /files/file-7/links'] = linkTo('file-7');
    const fileId = { mode: 'id', value: 'file-7' };
    const parameters = { resource: 'link', operation: 'create', fileId, linkHours: 2 };
    const { output } = await runNode(new Files(), endpoint.at({ parameters }));
    expect(output).toEqual([{ json: linkTo('file-7'), pairedItem: { item: 0 } }]);
    expect(endpoint.json(0)).toMatchObject({ expires_after: { seconds: 7200 } });
  });

  it('are listed and revoked', async () => {
    endpoint.answers['GET /files/file-7/links'] = { data: [linkTo('file-7')], has_more: false };
    endpoint.answers['DELETE /files/file-7/links/link_1'] = { deleted: true };
    const at = { resource: 'link', fileId: { mode: 'id', value: 'file-7' } };
    const list = await runNode(new Files(), endpoint.at({ parameters: { ...at, operation: 'getMany' } }));
    expect(list.output.map(({ json }) => json['file_id'])).toEqual(['file-7']);
    const parameters = { ...at, operation: 'delete', linkId: ' link_1 ' };
    const gone = await runNode(new Files(), endpoint.at({ parameters }));
    expect(gone.output[0]?.json).toEqual({ deleted: true, id: 'link_1' });
  });
});

describe('the tool of an agent', () => {
  it('gives it a link to each file, and the files to the output of the tool', async () => {
    answerWith();
    const { output } = await runTool();
    expect(output[0]?.json['files']).toMatchObject([
      { filename: 'chart.png', url: 'https://files.test/links/t/cfile_a' },
      { filename: 'table.xlsx', url: 'https://files.test/links/t/cfile_b' },
    ]);
    expect(Object.values(output[0]?.binary ?? {}).map(({ fileName }) => fileName)).toEqual([
      'chart.png',
      'table.xlsx',
    ]);
  });

  it('works without links where they are switched off, and asks once', async () => {
    answerWith({}, () => OFF);
    const { output } = await runTool();
    expect(output[0]?.json['files']).toMatchObject([{ filename: 'chart.png' }, { filename: 'table.xlsx' }]);
    expect(JSON.stringify(output[0]?.json)).not.toContain('url');
    expect(endpoint.routes.filter((route) => route.endsWith('/links'))).toHaveLength(1);
  });

  it('makes no links and downloads nothing where that is chosen', async () => {
    answerWith();
    const { output } = await runTool({ linkHours: 0, downloadFiles: 'none' });
    expect(endpoint.routes).toEqual(['POST /containers', `POST /containers/${container}/executions`]);
    expect(output[0]?.binary).toBeUndefined();
  });

  it('leaves the files of an execution that has ended to its links', async () => {
    answerWith();
    const { context } = await runTool({}, { session: 'execution' });
    expect(await atEnd(context.finishHandlers)).toEqual([`POST /containers/${container}/expire`]);
  });
});

describe('a file of a container that has expired', () => {
  it('is downloaded by its ID alone', async () => {
    endpoint.answers['GET /files/cfile_x'] = { id: 'cfile_x', filename: 'old.csv', bytes: 3 };
    endpoint.answers['GET /files/cfile_x/content'] = Buffer.from('a,b');
    const parameters = {
      resource: 'file',
      operation: 'download',
      containerId: { mode: 'id', value: 'cntr_gone' },
      containerFileId: 'cfile_x',
    };
    const { output, context } = await runNode(new Containers(), endpoint.at({ parameters }));
    expect(output[0]).toMatchObject({
      json: { filename: 'old.csv', mime_type: 'text/csv' },
      binary: { data: { fileName: 'old.csv' } },
    });
    expect([...context.stored.values()].map(String)).toEqual(['a,b']);
  });
});
