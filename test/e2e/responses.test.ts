/** Responses, in a real n8n, with the built-in model `python` and one that plays scripts. */
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/api.js';
import { MODEL } from './support/names.js';
import { byId, CONTINUE, useBench } from './support/nodes.js';
import { inlineFile, type Node } from './support/workflow.js';

const { n8n, api, responses, run, script } = useBench();

const create = (prompt: string, parameters = {}, settings = {}, name = 'Ask'): Node =>
  responses(
    name,
    { resource: 'response', operation: 'create', model: byId('python'), prompt, ...parameters },
    settings,
  );
const stored = (name: string, operation: string, parameters = {}): Node =>
  responses(name, { resource: 'response', operation, ...parameters });
const python = (code: string) => ({ name: 'python', arguments: { code } });

const CHART = `import matplotlib.pyplot as plt
plt.bar(['a', 'b'], [1, 2])
plt.savefig('chart.png')
plt.close()
open('table.csv', 'w').write('a,1')
print('drawn')`;

describe('an answer', () => {
  it('has text, code runs, and files as pictures and tables', async () => {
    const result = await run([{ json: {} }], create(CHART));
    const [item] = result.items('Ask');
    expect(item?.json).toMatchObject({
      status: 'completed',
      model: 'python',
      output_text: expect.stringMatching(/drawn/),
      container_id: expect.stringMatching(/^cntr_/),
      code_runs: [{ code: CHART, output: expect.stringMatching(/drawn/), status: 'completed' }],
      error: null,
    });
    const binaries = Object.values(item?.binary ?? {});
    expect(binaries.map(({ fileName, mimeType }) => `${fileName} ${mimeType}`).toSorted()).toEqual([
      'chart.png image/png',
      'table.csv text/csv',
    ]);
    const picture = Object.keys(item!.binary!).find((key) => item!.binary![key]!.mimeType === 'image/png')!;
    const reply = await n8n.binary(item!, picture, 'view');
    expect([reply.status, reply.headers.get('content-type')]).toEqual([200, 'image/png']);
  });

  it('comes from a model that writes code, sees what it printed, and answers', async () => {
    await script({ calls: [python('print(6 * 7)')] }, { text: 'It is 42.' });
    const result = await run(
      [{ json: { question: 'What is six times seven?' } }],
      create('={{ $json.question }}', { model: byId(MODEL) }),
    );
    expect(result.json('Ask')).toMatchObject({
      output_text: 'It is 42.',
      code_runs: [{ code: 'print(6 * 7)', output: '42\n' }],
    });
  });

  it('may be raw, and may be JSON of a schema', async () => {
    await script({ text: '{"total": 12}' });
    const schema =
      '{"type":"object","properties":{"total":{"type":"number"}},"required":["total"],"additionalProperties":false}';
    const parsed = await run(
      [{ json: {} }],
      create('Total?', { model: byId(MODEL), options: { jsonSchema: schema } }),
    );
    expect(parsed.json('Ask')['output_json']).toEqual({ total: 12 });
    const raw = await run([{ json: {} }], create('print(1)', { simplify: false }));
    expect(raw.json('Ask')).toMatchObject({ object: 'response', output_text: expect.any(String) });
    expect(raw.json('Ask')['output']).toMatchObject([{ type: 'code_interpreter_call' }, { type: 'message' }]);
  });

  it('is given for every item, from the files of the item', async () => {
    const item = (name: string, content: string) => ({
      json: { name },
      binary: { data: inlineFile(name, 'text/csv', content) },
    });
    const result = await run(
      [item('one.csv', 'a\n1\n'), item('two.csv', 'a\n2\n')],
      create('={{ `import pandas\nprint(pandas.read_csv("${$json.name}")["a"].sum())` }}', {
        inputFiles: 'data',
      }),
    );
    expect(
      result
        .items('Ask')
        .map(({ json, pairedItem }) => [
          (json['code_runs'] as { output: string }[])[0]?.output.trim(),
          pairedItem,
        ]),
    ).toEqual([
      ['1', { item: 0 }],
      ['2', { item: 1 }],
    ]);
  });

  it('goes on where an earlier one stopped', async () => {
    const result = await run(
      [{ json: {} }],
      create('kept = 41', {}, {}, 'First'),
      create('print(kept + 1)', { options: { previousResponseId: '={{ $json.id }}' } }, {}, 'Next'),
    );
    expect(result.json('Next')['output_text']).toMatch(/42/);
    expect(result.json('Next')['container_id']).toBe(result.json('First')['container_id']);
  });

  it('is worked out in a container of an earlier step, or of the session', async () => {
    const id = await api.newContainer();
    await api.run(id, 'kept = "there"');
    const result = await run(
      [{ json: { id } }],
      create('print(kept)', { container: 'id', containerId: byId('={{ $json.id }}') }, {}, 'In Container'),
      create('mine = 1', { container: 'session', session: 'execution' }, {}, 'One'),
      create('print(mine)', { container: 'session', session: 'execution' }, {}, 'Two'),
    );
    expect(result.json('In Container')['output_text']).toMatch(/there/);
    expect(result.json('Two')['output_text']).toMatch(/1/);
    // It is deleted when the execution has ended, which tells before it is done.
    const path = `/containers/${String(result.json('Two')['container_id'])}`;
    const gone = await eventually(
      () => api.get(path),
      ({ status }) => status === 404 || !n8n.tellsEnds,
    );
    expect(gone.status).toBe(n8n.tellsEnds ? 404 : 200);
    await api.delete(`/containers/${id}`);
  });

  it('comes over one connection, or later', async () => {
    const result = await run(
      [{ json: {} }],
      create('print("one")', { runMode: 'connection' }, {}, 'One'),
      create(CHART, { runMode: 'start' }, {}, 'Started'),
      stored('Waited', 'wait', { options: { pollInterval: 1 } }),
      stored('Got', 'get', { downloadFiles: 'images' }),
    );
    expect(result.json('One')).toMatchObject({
      status: 'completed',
      output_text: expect.stringMatching(/one/),
    });
    expect(['queued', 'in_progress']).toContain(result.json('Started')['status']);
    expect(result.json('Waited')).toMatchObject({ id: result.json('Started')['id'], status: 'completed' });
    expect(Object.values(result.items('Waited')[0]?.binary ?? {})).toHaveLength(2);
    expect(Object.values(result.items('Got')[0]?.binary ?? {})).toMatchObject([{ fileName: 'chart.png' }]);
  });
});

describe('a stored response', () => {
  it('tells its input, is cancelled, and is deleted', async () => {
    const result = await run(
      [{ json: {} }],
      create('import time\ntime.sleep(300)', { runMode: 'start' }, {}, 'Started'),
      responses('Input', {
        resource: 'inputItem',
        operation: 'getMany',
        responseId: "={{ $('Started').item.json.id }}",
        returnAll: true,
      }),
      stored('Cancelled', 'cancel', { responseId: "={{ $('Started').item.json.id }}" }),
      stored('Deleted', 'delete', { responseId: "={{ $('Started').item.json.id }}" }),
    );
    const { id } = result.json<{ id: string }>('Started');
    expect(result.json('Input')).toMatchObject({ role: 'user', content: [{ type: 'input_text' }] });
    expect(result.json('Cancelled')).toMatchObject({ id, status: 'cancelled' });
    expect(result.json('Deleted')).toEqual({ deleted: true, id });
    await api.refused(404, 'GET', `/responses/${id}`);
  });
});

describe('an answer that is none', () => {
  it('of the model python stops the workflow, or says so', async () => {
    const stopped = await run([{ json: {} }], create('1 / 0'));
    expect(stopped.error?.message).toBe('ZeroDivisionError: division by zero [item 0]');
    const told = await run([{ json: {} }], create('1 / 0', { options: { onCodeError: 'continue' } }));
    expect(told.json('Ask')).toMatchObject({
      status: 'failed',
      error: { name: 'ZeroDivisionError', message: 'division by zero' },
    });
    const english = await run([{ json: {} }], create('Make a chart of the sales'));
    expect(english.error?.description).toMatch(/choose a language model/);
  });

  it.skipIf(!n8n.tellsEnds)(
    'leaves no container behind when the execution is over, and its files can be read',
    async () => {
      const result = await run([{ json: {} }], create(CHART));
      const { container_id: id, files } = result.json<{ container_id: string; files: { id: string }[] }>(
        'Ask',
      );
      const { status } = await eventually(
        () => api.ok<{ status: string }>('GET', `/containers/${id}`),
        (container) => container.status !== 'running',
      );
      expect(status).toBe('expired');
      expect((await api.get(`/files/${files[0]!.id}/content`)).status).toBe(200);
    },
  );
});

describe('what cannot be answered', () => {
  it('names model, item and cure', async () => {
    const result = await run([{ json: {} }], create('1', { model: byId('no-such-model') }));
    expect(result.error).toMatchObject({ name: 'NodeApiError', context: { itemIndex: 0 } });
    expect(result.error?.message).toMatch(/no-such-model/);
    expect(result.error?.description).toMatch(/^Choose a model from the list in 'Model'/);
  });

  it('is a failed response that says so, while other items go on', async () => {
    await script({ fault: { kind: 'status', status: 401 } });
    const result = await run(
      [
        { json: { model: MODEL, prompt: 'x' } },
        { json: { model: 'python', prompt: 'print(1)' } },
        { json: { model: 'python', prompt: '' } },
      ],
      create('={{ $json.prompt }}', { model: byId('={{ $json.model }}') }, CONTINUE),
    );
    expect(result.items('Ask')).toMatchObject([
      {
        json: { error: expect.stringMatching(/^The response failed: .* \[item 0\]$/) },
        pairedItem: { item: 0 },
      },
      { json: { status: 'completed' }, pairedItem: { item: 1 } },
      { json: { error: "'Prompt' is empty [item 2]" }, pairedItem: { item: 2 } },
    ]);
  });

  it('is told when it takes too long, and goes on in the background', async () => {
    const result = await run(
      [{ json: {} }],
      create('import time\ntime.sleep(60)', { options: { timeout: 1 } }),
    );
    expect(result.error?.message).toMatch(
      /^The response was still (queued|in_progress) after 1 seconds \[item 0\]$/,
    );
    const id = /resp_\w+/.exec(result.error?.description ?? '')?.[0];
    const going = await api.ok<{ status: string }>('GET', `/responses/${id}`);
    expect(['queued', 'in_progress']).toContain(going.status);
    await api.post(`/responses/${id}/cancel`);
  });
});
