/** The example workflows of docs/workflows, imported as they are and run. */
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/api.js';
import type { Run } from './support/n8n-client.js';
import { useBench } from './support/nodes.js';
import type { Item, Node, Workflow } from './support/workflow.js';

const { n8n, api, credentials, modelUrl, scriptFor, asked } = useBench();
const FOLDER = join(import.meta.dirname, '../../docs/workflows');
const CSV = 'name,height\nAda,170\nBob,180\nCid,175\n';
const tested = new Set<string>();

/** What a person does after the import: choose the credential in our nodes, and in a model's. */
async function example(name: string, change: (node: Node) => Node = (node) => node): Promise<Workflow> {
  tested.add(name);
  const file = JSON.parse(readFileSync(join(FOLDER, name), 'utf8')) as Workflow;
  const nodes = file.nodes.map((node) => change(node.credentials ? { ...node, credentials } : node));
  return { ...file, name: `${file.name} ${randomUUID()}`, nodes };
}

const withParameters =
  (name: string, parameters: Readonly<Record<string, unknown>>) =>
  (node: Node): Node =>
    node.name === name ? { ...node, parameters: { ...node.parameters, ...parameters } } : node;

const webhookIdOf = (workflow: Workflow): string =>
  String(workflow.nodes.find((node) => node['webhookId'] !== undefined)?.['webhookId']);

const namesOf = (item: Item | undefined): string[] =>
  Object.values(item?.binary ?? {}).map(({ fileName }) => String(fileName));

async function firstRun(executions: () => Promise<readonly string[]>): Promise<Run> {
  const [id] = await eventually(executions, (all) => all.length > 0, 30_000);
  return await n8n.ended(id!);
}

const hasEnded = (status: string): boolean => status === 'success' || status === 'error';

/** The example of a long job, with another duration and time limit. */
const jobOf =
  (seconds: string, options = {}) =>
  (node: Node): Node => {
    if (node.name !== 'Long Job') return node;
    const prompt = String(node.parameters['prompt']).replace('time.sleep(5)', `time.sleep(${seconds})`);
    return withParameters(node.name, { prompt, options })(node);
  };

/** n8n looks once a minute for executions whose time is over, so this one is started before the others. */
let late = '';
beforeAll(async () => {
  const workflow = await example('08-long-job.json', jobOf('240', { timeout: 1 }));
  late = await n8n.start(workflow, 'When Clicking Execute');
});

describe('the example', () => {
  it('01 draws a chart without a language model', async () => {
    const run = await n8n.run(await example('01-quick-start.json'), 'When Clicking Execute');
    expect(run.json('Draw a Chart')).toMatchObject({ output_text: expect.stringMatching(/Total: 57/) });
    expect(namesOf(run.items('Draw a Chart')[0])).toEqual(['Revenue by month.png']);
  });

  it('02 makes a report of a table that came by a form', async () => {
    const workflow = await example('02-form-report.json');
    const published = await n8n.publish(workflow);
    const form = new FormData();
    form.append('field-0', new Blob([CSV], { type: 'text/csv' }), 'people.csv');
    form.append('field-1', 'reader@example.com');
    const reply = await fetch(`${n8n.url}/form/${webhookIdOf(workflow)}`, { method: 'POST', body: form });
    expect(reply.status, await reply.text()).toBe(200);
    const run = await firstRun(published.executions);
    await published.unpublish();
    const [report] = run.items('Make the Report');
    expect(report?.json).toMatchObject({ output_text: expect.stringMatching(/3 rows, 2 columns/) });
    expect(namesOf(report).toSorted()).toEqual(['report.png', 'report.xlsx']);
    expect((await run.file(report!, 'data')).length).toBeGreaterThan(5_000);
  });

  it('03 answers a call with the bytes of a chart', async () => {
    const path = randomUUID();
    const workflow = await example('03-webhook-analysis.json', (node) =>
      node.name === 'Receive CSV' ? { ...withParameters(node.name, { path })(node), webhookId: path } : node,
    );
    const published = await n8n.publish(workflow);
    const form = new FormData();
    form.append('data', new Blob([CSV]), 'people.csv');
    const reply = await fetch(`${n8n.url}/webhook/${path}`, { method: 'POST', body: form });
    expect([reply.status, reply.headers.get('content-type')]).toEqual([200, 'image/png']);
    await published.unpublish();
  });

  it('04 computes the figures of the week', async () => {
    const run = await n8n.run(await example('04-weekly-kpi.json'), 'Every Monday');
    const [item] = run.items('Figures and Chart');
    expect(item?.json).toMatchObject({ total: 669, best_region: 'north' });
    expect(namesOf(item)).toEqual(['Sales by day and region.png', 'week.xlsx']);
    // Switched off, they hand on what they would send.
    expect(run.items('Keep the Workbook')[0]?.binary?.['data_1']?.fileName).toBe('week.xlsx');
  });

  it('05 chains five steps in one container', async () => {
    const run = await n8n.run(await example('05-chained-steps.json'), 'When Clicking Execute');
    expect(run.json('Clean')).toEqual({ rows: 48 });
    expect(namesOf(run.items('Chart')[0])).toContain('fit.png');
    expect(namesOf(run.items('Report')[0]).toSorted()).toEqual(['data.xlsx', 'report.pdf']);
    expect((await run.file(run.items('Report')[0]!, 'data')).subarray(0, 2).toString()).toMatch(/%P|PK/);
  });

  it('06 runs Python on items', async () => {
    const run = await n8n.run(await example('06-run-python.json'), 'When Clicking Execute');
    const last = Object.keys(run.stored.data.resultData.runData).at(-1)!;
    const items = run.items(last);
    expect(items.length).toBeGreaterThan(1);
    expect(namesOf(items[0])).toEqual(['figure-1.png']);
  });

  it('07 chats with a table, and hands on the files that the agent made', async () => {
    const model = `chat-${randomUUID()}`;
    const openAiApi = {
      id: await n8n.addCredential(model, 'openAiApi', { apiKey: 'sk-any', url: modelUrl }),
      name: model,
    };
    const webhookId = randomUUID();
    const workflow = await example('07-chat-with-your-data.json', (node) => {
      if (node.name === 'Model')
        return {
          ...withParameters('Model', { model: { __rl: true, mode: 'id', value: model } })(node),
          credentials: { openAiApi },
        };
      return node.name === 'Chat' ? { ...node, webhookId } : node;
    });
    const published = await n8n.publish(workflow);
    const code = `import pandas
table = pandas.read_csv('people.csv')
table.to_excel('people.xlsx')
print(table['height'].mean())`;
    await scriptFor(
      model,
      { calls: [{ name: 'run_python', arguments: { code } }] },
      { text: 'On average 175.' },
    );
    const sessionId = randomUUID();
    const form = new FormData();
    form.append('action', 'sendMessage');
    form.append('sessionId', sessionId);
    form.append('chatInput', 'How tall are they?');
    form.append('files', new Blob([CSV], { type: 'text/csv' }), 'people.csv');
    const chat = `${n8n.url}/webhook/${webhookId}/chat`;
    const reply = await fetch(chat, { method: 'POST', body: form });
    expect(await reply.json()).toMatchObject({ output: 'On average 175.' });
    const run = await firstRun(published.executions);
    expect(run.items('Download').map((item) => namesOf(item))).toEqual([['people.xlsx']]);
    const first = (await asked(model))[0]!.messages.at(-1);
    expect(String(first?.content)).toContain('/mnt/data/people.csv');

    await scriptFor(
      model,
      { calls: [{ name: 'run_python', arguments: { code: 'print(len(table))' } }] },
      { text: 'Three.' },
    );
    const next = await fetch(chat, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ action: 'sendMessage', sessionId, chatInput: 'How many?' }),
    });
    expect(await next.json()).toMatchObject({ output: 'Three.' });
    const messages = (await asked(model)).at(-1)!.messages.map(({ content }) => String(content));
    expect(messages).toEqual(expect.arrayContaining([expect.stringContaining('How tall are they?')]));
    expect(messages.at(-1)).toMatch(/"stdout":"3\\n"/);
    await published.unpublish();
  });

  it('08 sleeps until a long job is done', async () => {
    const id = await n8n.start(await example('08-long-job.json', jobOf('0.5')), 'When Clicking Execute');
    const run = await n8n.ended(id, hasEnded);
    expect(namesOf(run.items('Get the File')[0])).toEqual(['result.csv']);
    expect(run.ran('Not Done Yet')).toEqual([]);
  });

  it('09 works through many files', async () => {
    const run = await n8n.run(await example('09-batch.json'), 'When Clicking Execute');
    expect(run.ran('Analyse One')).toHaveLength(3);
    const compared = run.items('Compare');
    expect(compared.map(({ json }) => json['table']).toSorted()).toEqual([
      'north.csv',
      'south.csv',
      'west.csv',
    ]);
    expect(namesOf(compared[0])).toEqual(['Sum by table.png']);
  });

  it('10 tells when a response has ended', async () => {
    const webhookId = randomUUID();
    const published = await n8n.publish(
      await example('10-notify-when-done.json', (node) =>
        node.name === 'When a Response Ends' ? { ...node, webhookId } : node,
      ),
    );
    await api.ok('POST', '/responses', {
      model: 'python',
      input: 'open("made.txt", "w").write("x")\nprint("ready")',
      tools: [{ type: 'code_interpreter', container: { type: 'auto' } }],
    });
    const run = await firstRun(published.executions);
    await published.unpublish();
    expect(run.json('Tell the Team')).toMatchObject({
      message: expect.stringMatching(/^Done: [\s\S]*ready[\s\S]*\(1 files\)$/),
    });
  });

  it('11 does what an assistant did, in two messages', async () => {
    const run = await n8n.run(await example('11-from-assistants.json'), 'When Clicking Execute');
    expect(run.json('First Message')).toMatchObject({ output_text: expect.stringMatching(/Ada\s+165/) });
    expect(run.json('Next Message')).toMatchObject({
      output_text: expect.stringMatching(/Most came from Ada/),
    });
    expect(namesOf(run.items('Next Message')[0])).toEqual(['totals.xlsx']);
  });

  it('08 goes on without the job when its time is over', async () => {
    const run = await n8n.ended(late, hasEnded);
    expect(run.json('Not Done Yet')).toMatchObject({ message: expect.stringMatching(/It is still running/) });
    expect(run.ran('Get the File')).toEqual([]);
  });
});

it('every example is run here', () => {
  const there = readdirSync(FOLDER).filter((name) => name.endsWith('.json'));
  expect([...tested].toSorted()).toEqual(there.toSorted());
});
