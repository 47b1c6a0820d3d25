/** The server calls n8n: when a released execution may go on, and to start workflows. */
import { describe, expect, it } from 'vitest';
import { eventually, type Page } from '../support/api.js';
import { byId, useBench } from './support/nodes.js';
import { chain, MANUAL, node } from './support/workflow.js';

const { n8n, api, files, responses, credentials } = useBench();

const released = (prompt: string) =>
  chain(
    node('Start', MANUAL),
    responses('Ask', {
      resource: 'response',
      operation: 'create',
      model: byId('python'),
      prompt,
      runMode: 'callback',
    }),
    files('Download', {
      operation: 'download',
      fileId: byId('={{ $json.files[0].id }}'),
      outputField: 'data',
    }),
  );

describe('Release Execution Until Called Back', () => {
  it('puts the execution to sleep, and goes on with the answer and its files', async () => {
    const id = await n8n.start(
      released('import time\ntime.sleep(3)\nopen("late.txt", "w").write("worth it")\nprint("done")'),
    );
    const waiting = await n8n.ended(id, (status) => status === 'waiting');
    expect(waiting.status).toBe('waiting');
    const run = await n8n.ended(id, (status) => status === 'success' || status === 'error');
    expect(run.json('Ask')).toMatchObject({
      status: 'completed',
      output_text: expect.stringMatching(/done/),
      files: [{ filename: 'late.txt', mime_type: 'text/plain' }],
    });
    const [file] = run.items('Download');
    expect((await run.file(file!, 'data', 'view')).toString()).toBe('worth it');
  });

  it('works for an answer that is there before n8n sleeps', async () => {
    const run = await n8n.ended(
      await n8n.start(released('open("now.txt", "w").write("1")')),
      (status) => status === 'success' || status === 'error',
    );
    expect(run.json('Ask')).toMatchObject({ status: 'completed' });
  });

  it('says so when nobody calls back in time, and keeps the ID', async () => {
    const slow = released('import time\ntime.sleep(60)');
    const ask = slow.nodes.find(({ name }) => name === 'Ask')!;
    const workflow = {
      ...chain(node('Start', MANUAL), { ...ask, parameters: { ...ask.parameters, options: { timeout: 3 } } }),
    };
    const run = await n8n.ended(
      await n8n.start(workflow),
      (status) => status === 'success' || status === 'error',
    );
    expect(run.json('Ask')).toMatchObject({
      status: 'timed_out',
      response_id: expect.stringMatching(/^resp_/),
      error: { message: expect.stringMatching(/had not ended after 3 seconds/) },
    });
    await api.post(`/responses/${String(run.json('Ask')['response_id'])}/cancel`);
  });
});

interface Endpoint {
  readonly id: string;
  readonly url: string;
  readonly event_types: readonly string[];
}

describe('Code Interpreter Trigger', () => {
  const trigger = (parameters: Readonly<Record<string, unknown>>) =>
    chain(
      node('When Done', 'codeInterpreterTrigger', parameters, {
        credentials,
        webhookId: crypto.randomUUID(),
      }),
    );
  const endpoints = async () => (await api.ok<Page<Endpoint>>('GET', '/webhook_endpoints')).data;

  it('registers with the server, starts the workflow for what it was told, and goes again', async () => {
    const published = await n8n.publish(trigger({ events: ['response.completed', 'response.failed'] }));
    const [endpoint] = await endpoints();
    expect(endpoint?.event_types.toSorted()).toEqual(['response.completed', 'response.failed']);
    expect(endpoint?.url).toContain(`${n8n.url}/webhook/`);

    const response = await api.ok<{ id: string }>('POST', '/responses', {
      model: 'python',
      input: 'print("from outside")',
      tools: [{ type: 'code_interpreter', container: { type: 'auto' } }],
    });
    const [first] = await eventually(published.executions, (all) => all.length > 0, 60_000);
    const run = await n8n.ended(first!);
    expect(run.json('When Done')).toMatchObject({
      event: 'response.completed',
      id: response.id,
      output_text: expect.stringMatching(/from outside/),
    });

    const forged = await fetch(endpoint!.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'webhook-id': 'evt_1',
        'webhook-timestamp': `${Math.floor(Date.now() / 1000)}`,
        'webhook-signature': 'v1,AAAA',
      },
      body: JSON.stringify({ type: 'response.completed', data: { id: response.id } }),
    });
    expect(forged.status).toBe(401);
    expect(await published.executions()).toHaveLength(1);

    await published.unpublish();
    expect(await endpoints()).toEqual([]);
  });
});
