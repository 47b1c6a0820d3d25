/** Run Python: what goes to the server, and what comes out of the node. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { INodeExecutionData } from 'n8n-workflow';
import { Containers } from '../../../nodes/Containers/Containers.node.js';
import { runNode } from './context.js';
import { Endpoint, execution, raised, refusal } from './endpoint.js';

const endpoint = new Endpoint();
beforeAll(() => endpoint.start());
afterAll(() => endpoint.stop());
beforeEach(() => endpoint.forget());

const RUN = 'POST /containers/cntr_1/executions';

function answerWith(value: unknown, more: object = {}): void {
  endpoint.answers['POST /containers'] = { id: 'cntr_1' };
  endpoint.answers['DELETE /containers/cntr_1'] = { deleted: true };
  endpoint.answers[RUN] = execution({ value: { from: 'result', json: value }, ...more });
}

const run = async (parameters: object, more: object = {}) =>
  runNode(new Containers(), endpoint.at({ parameters: { code: 'x', ...parameters }, ...more }));

const csv = (fileName: string) => ({
  data: { data: Buffer.from('a,b').toString('base64'), mimeType: 'text/csv', fileName },
});

describe('values', () => {
  const items = [{ json: { a: 1 } }, { json: { a: 2 } }];

  it('go in and out in two requests, and pair items that stem from one each', async () => {
    answerWith([{ b: 1 }, { b: 2 }]);
    const { output, context } = await run({ code: 'result = items' }, { items });
    expect(endpoint.json(0)).toMatchObject({
      session_key: 'n8n:instance:flow:execution:run',
      name: 'n8n: Flow',
    });
    expect(endpoint.json(1)).toEqual({
      code: 'result = items',
      returns: 'automatic',
      inputs: '{"items":[{"a":1},{"a":2}]}',
    });
    expect(output).toEqual([
      { json: { b: 1 }, pairedItem: { item: 0 } },
      { json: { b: 2 }, pairedItem: { item: 1 } },
    ]);
    expect(endpoint.routes).toEqual(['POST /containers', RUN]);
    expect(endpoint.asked[0]?.key).toBe('Bearer key');
    expect(context.finishHandlers).toHaveLength(1);
  });

  it.each([
    ['print(1)', undefined, undefined],
    ['df.head()', '{"items":[{"a":1},{"a":2}]}', { df: 'items' }],
    ['print(my_items, dfx, profiles)', undefined, undefined],
    ['print(files, item)', '{"item":null,"files":[]}', undefined],
  ])('are sent under the names that the code speaks of: %s', async (code, inputs, dataframes) => {
    answerWith(1);
    await run({ code }, { items });
    expect([endpoint.json(1)['inputs'], endpoint.json(1)['dataframes']]).toEqual([inputs, dataframes]);
  });

  it('that are too long for one request go in as a file, which is removed again', async () => {
    answerWith({});
    endpoint.answers['POST /containers/cntr_1/files'] = { id: 'cfile_i', path: '/mnt/data/items-1.json' };
    endpoint.answers['DELETE /containers/cntr_1/files/cfile_i'] = { deleted: true };
    const many = [{ json: { text: 'x'.repeat(16_000_001) } }];
    await run({ code: 'print(items, item)'.replace(', item', '') }, { items: many });
    expect(endpoint.routes).toEqual([
      'POST /containers',
      'POST /containers/cntr_1/files',
      RUN,
      'DELETE /containers/cntr_1/files/cfile_i',
    ]);
    expect(endpoint.json(2)).toMatchObject({
      inputs: '{}',
      inputs_from: { items: '/mnt/data/items-1.json' },
    });
  }, 20_000);

  it('come out for each item', async () => {
    answerWith({ b: 1 });
    const { output } = await run({ mode: 'each' }, { items });
    expect(output.map(({ pairedItem }) => pairedItem)).toEqual([{ item: 0 }, { item: 1 }]);
  });

  it('that were changed on their way are told beside the output', async () => {
    const message = 'Returned as text, because readers of JSON would round it: result[0].';
    answerWith(['9007199254740993'], { outputs: [{ type: 'notice', code: 'value_converted', message }] });
    const { output, context } = await run({});
    expect(output[0]?.json).toEqual({ value: '9007199254740993' });
    expect(context.hints).toEqual([message]);
  });

  it('that cannot be items stop the workflow and say why', async () => {
    const message = 'The value was not returned. result contains itself.';
    answerWith(null, { value: null, outputs: [{ type: 'notice', code: 'value_dropped', message }] });
    await expect(run({})).rejects.toMatchObject({
      message: 'The result of the code could not become items',
      description: message,
    });
  });

  it('are for an agent beside what was printed', async () => {
    answerWith([1, 2], { outputs: [{ type: 'stdout', text: 'hello' }] });
    const { output } = await run({}, { asTool: true });
    expect(output[0]?.json).toMatchObject({ stdout: 'hello', result: [1, 2] });
  });
});

describe('what people write by habit', () => {
  it.each([
    ['SyntaxError', "'return' outside function (<cell>, line 1)", 'Assign the output to the variable result'],
    ['NameError', "name '_input' is not defined", 'in the variables items'],
    ['NameError', "name '_items' is not defined", 'in the variables items'],
    ['AttributeError', "'dict' object has no attribute 'json'", "write items[0]['name']"],
    ['KeyError', "'json'", "write items[0]['name']"],
    ['ModuleNotFoundError', "No module named 'torch'", 'the sandbox has no network'],
  ])('gets a hint, whether the step stops or goes on: %s: %s', async (name, value, hint) => {
    endpoint.answers['POST /containers'] = { id: 'cntr_1' };
    endpoint.answers[RUN] = raised(name, value);
    await expect(run({})).rejects.toMatchObject({ description: expect.stringContaining(hint) as string });
    const { output } = await run({ options: { onCodeError: 'continue' } });
    expect(output[0]?.json['error']).toMatchObject({ name, hint: expect.stringContaining(hint) as string });
  });

  it('is nothing else', async () => {
    endpoint.answers['POST /containers'] = { id: 'cntr_1' };
    endpoint.answers[RUN] = raised('NameError', "name 'revenue' is not defined");
    const { output } = await run({ options: { onCodeError: 'continue' } });
    expect(output[0]?.json['error']).not.toHaveProperty('hint');
  });
});

describe('charts and files', () => {
  const image = (file_id: string, more: object = {}) => ({
    type: 'image',
    file_id,
    mime_type: 'image/png',
    bytes: 3,
    ...more,
  });
  const written = (id: string, path: string) => ({ id, path, bytes: 3, change: 'created' });

  function answerWithFiles(outputs: object[], files: { id: string }[]): void {
    endpoint.answers['POST /containers'] = { id: 'cntr_1' };
    endpoint.answers['DELETE /containers/cntr_1'] = { deleted: true };
    endpoint.answers[RUN] = execution({ outputs, files });
    for (const id of [
      ...outputs.map((each) => (each as { file_id: string }).file_id),
      ...files.map((each) => each.id),
    ])
      endpoint.answers[`GET /containers/cntr_1/files/${id}/content`] = Buffer.from(id);
  }
  const namesOf = (output: INodeExecutionData[]) =>
    Object.values(output[0]?.binary ?? {}).map(({ fileName }) => fileName);

  it('come out as binary fields', async () => {
    answerWithFiles([image('cfile_i')], [written('cfile_f', '/mnt/data/out/table.csv')]);
    const [all] = (await run({})).output;
    expect(all?.binary).toMatchObject({
      data: { fileName: 'figure-1.png', mimeType: 'image/png' },
      data_1: { fileName: 'table.csv', mimeType: 'text/csv' },
    });
    const [images] = (await run({ downloadFiles: 'images', options: { outputField: 'chart' } })).output;
    expect(Object.keys(images?.binary ?? {})).toEqual(['chart']);
    const split = (await run({ options: { splitFiles: true } })).output;
    expect(split.map(({ binary }) => binary?.['data']?.fileName)).toEqual(['figure-1.png', 'table.csv']);
    const [none] = (await run({ downloadFiles: 'none' })).output;
    expect(none?.binary).toBeUndefined();
    expect(none?.json['files']).toHaveLength(2);
  });

  it('come out once when they were shown and saved, and under their title', async () => {
    const saved = { saved_as: '/mnt/data/weekly.png', title: 'Weekly' };
    answerWithFiles(
      [image('cfile_a', saved), image('cfile_b', { title: 'Revenue: 2026/27?' }), image('cfile_c')],
      [written('cfile_w', '/mnt/data/weekly.png')],
    );
    expect(namesOf((await run({})).output)).toEqual(['Revenue 2026 27.png', 'figure-2.png', 'weekly.png']);
  });

  it('have names of their own, also where folders told them apart', async () => {
    answerWithFiles([], [written('cfile_a', '/mnt/data/a/x.csv'), written('cfile_b', '/mnt/data/X.csv')]);
    expect(namesOf((await run({})).output)).toEqual(['x.csv', 'X (2).csv']);
  });

  it('that came in are all put into the container, each under a name of its own', async () => {
    answerWith(1);
    endpoint.answers['POST /containers/cntr_1/files'] = [{ path: '/mnt/data/a' }, { path: '/mnt/data/b' }];
    const items = [
      { json: {}, binary: csv('sales.csv') },
      { json: {}, binary: csv('sales.csv') },
    ];
    await run({ code: 'files' }, { items });
    expect(endpoint.asked[1]?.body).toContain('filename="sales.csv"');
    expect(endpoint.asked[2]?.body).toContain('filename="sales (2).csv"');
    expect(endpoint.json(3)['inputs']).toBe(
      '{"files":[{"item":0,"field":"data","name":"sales.csv","path":"/mnt/data/a"},{"item":1,"field":"data","name":"sales (2).csv","path":"/mnt/data/b"}]}',
    );
  });

  it('that came in and were not chosen are told', async () => {
    answerWith(1);
    const items = [{ json: {}, binary: csv('sales.csv') }];
    const { context } = await run({ inputFiles: '' }, { items });
    expect(context.hints).toEqual([
      "Incoming files that the code did not get: data (sales.csv). Enter * in 'Input Files' to pass on all.",
    ]);
  });
});

describe('code that fails', () => {
  beforeEach(() => answerWith(null));

  it.each([
    [raised('ZeroDivisionError', 'division by zero'), 'ZeroDivisionError: division by zero', /line 1/],
    [execution({ status: 'timed_out' }), 'stopped by its time limit', /Timeout/],
    [execution({ status: 'out_of_memory' }), 'more memory than the container has', /'Memory'/],
    [execution({ status: 'kernel_died' }), 'Python ended unexpectedly', /variables are lost/],
    [execution({ status: 'failed' }), 'could not be run', /server log/],
    [raised('SyntaxError', "'return' outside function (a.py, line 1)"), 'SyntaxError', /variable result/],
    [raised('NameError', "name '_input' is not defined"), 'NameError', /items \(a list of dicts\)/],
    [raised('AttributeError', "'dict' object has no attribute 'json'"), 'AttributeError', /items\[0\]/],
  ])('stops the workflow with a cure (%#)', async (answer, message, cure) => {
    endpoint.answers[RUN] = answer;
    await expect(run({})).rejects.toMatchObject({
      message: expect.stringContaining(message) as string,
      description: expect.stringMatching(cure) as string,
    });
  });

  it('hands on its traceback as data if asked to, and always to an agent', async () => {
    endpoint.answers[RUN] = raised('ZeroDivisionError', 'division by zero');
    const data = { status: 'code_error', error: { name: 'ZeroDivisionError', message: 'division by zero' } };
    const asked = await run({ options: { onCodeError: 'continue' } });
    expect(asked.output[0]?.json).toMatchObject(data);
    const agent = await run({}, { asTool: true });
    expect(agent.output[0]?.json).toMatchObject(data);
  });

  it('runs once for all items also when it fails, and gives one error item that stems from all', async () => {
    endpoint.answers[RUN] = raised('ValueError', 'too many items');
    const items = Array.from({ length: 5 }, (_, index) => ({ json: { index } }));
    const { output } = await run({}, { items, continueOnFail: true });
    expect(endpoint.routes).toEqual(['POST /containers', RUN]);
    expect(output).toEqual([
      {
        json: { error: 'ValueError: too many items', message: expect.any(String) as string },
        pairedItem: items.map((_, item) => ({ item })),
      },
    ]);
  });

  it('names the field that is empty', async () => {
    await expect(run({ code: ' ' })).rejects.toThrow(/^'Python Code' is empty$/);
    await expect(run({ code: ' ', mode: 'each' })).rejects.toThrow("'Python Code' is empty [item 0]");
    await expect(run({ session: 'custom' })).rejects.toThrow("'Session Key' is empty");
  });
});

describe('a new container', () => {
  const inNew = { container: 'new' };
  const gone = () => endpoint.routes.includes('DELETE /containers/cntr_1');

  it('is removed when nothing that goes out needs it', async () => {
    answerWith([{ a: 1 }]);
    await run(inNew);
    expect(gone()).toBe(true);
  });

  it('is removed when the code fails, and when the server does', async () => {
    answerWith(null);
    endpoint.answers[RUN] = raised('ValueError', 'no');
    await expect(run(inNew)).rejects.toThrow('no');
    expect(gone()).toBe(true);
    endpoint.forget();
    answerWith(null);
    endpoint.answers[RUN] = refusal(503, 'Draining.');
    await expect(run(inNew)).rejects.toThrow('Draining');
    expect(gone()).toBe(true);
  });

  it('is kept where its ID goes out or it is asked to be', async () => {
    answerWith([{ a: 1 }]);
    const [item] = (await run({ ...inNew, options: { addContainerId: true } })).output;
    expect(item?.json).toEqual({ a: 1, container_id: 'cntr_1' });
    await run({ ...inNew, options: { keepContainer: true } });
    expect(gone()).toBe(false);
  });

  it('is kept for files that were not downloaded, and named beside them', async () => {
    answerWith(null, {
      value: null,
      files: [{ id: 'cfile_f', path: '/mnt/data/a.csv', bytes: 1, change: 'created' }],
    });
    const [item] = (await run({ ...inNew, downloadFiles: 'none' })).output;
    expect([item?.json['container_id'], gone()]).toEqual(['cntr_1', false]);
  });

  it('is removed by Stop', async () => {
    answerWith([{ a: 1 }]);
    const { context } = await run({ ...inNew, options: { keepContainer: true } });
    expect(context.stopHandlers).toHaveLength(1);
    await context.stopHandlers[0]!();
    expect(gone()).toBe(true);
  });
});

describe('workflows of the first releases', () => {
  it('find the operation under the resource Container', async () => {
    answerWith([{ a: 1 }]);
    const { output } = await run({ resource: 'container', operation: 'runCode' });
    expect(output[0]?.json).toEqual({ a: 1 });
  });
});
