/** Workflows that start by themselves: called by webhook, and by the clock. */
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/api.js';
import { byId, useBench } from './support/nodes.js';
import { chain, node } from './support/workflow.js';

const { n8n, containers, responses } = useBench();
const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47]);

const HISTOGRAM = `import matplotlib.pyplot as plt
import pandas
pandas.read_csv(files[0]['path']).hist()
plt.show()`;

describe('a webhook', () => {
  it('takes a table in and answers with the bytes of a chart', async () => {
    const path = randomUUID();
    const published = await n8n.publish(
      chain(
        node(
          'Receive',
          'n8n-nodes-base.webhook',
          { httpMethod: 'POST', path, responseMode: 'responseNode', options: {} },
          { typeVersion: 2, webhookId: path },
        ),
        containers('Draw', {
          resource: 'container',
          operation: 'runCode',
          inputFiles: '*',
          code: HISTOGRAM,
          downloadFiles: 'images',
          options: { onCodeError: 'stop' },
        }),
        node(
          'Answer',
          'n8n-nodes-base.respondToWebhook',
          { respondWith: 'binary', responseDataSource: 'set', inputFieldName: 'data', options: {} },
          { typeVersion: 1.1 },
        ),
      ),
    );
    const form = new FormData();
    form.append('data', new Blob(['a,b\n1,2\n3,4\n4,4\n']), 'table.csv');
    const reply = await fetch(`${n8n.url}/webhook/${path}`, { method: 'POST', body: form });
    expect([reply.status, reply.headers.get('content-type')]).toEqual([200, 'image/png']);
    expect(Buffer.from(await reply.arrayBuffer()).subarray(0, 4)).toEqual(PNG);
    await published.unpublish();
  });
});

describe('the clock', () => {
  it('starts a workflow whose charts are kept with the execution', async () => {
    const published = await n8n.publish(
      chain(
        node(
          'Every Second',
          'n8n-nodes-base.scheduleTrigger',
          { rule: { interval: [{ field: 'seconds', secondsInterval: 1 }] } },
          { typeVersion: 1.2 },
        ),
        responses('Ask', {
          resource: 'response',
          operation: 'create',
          model: byId('python'),
          prompt: "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.savefig('line.png')\nplt.close()",
        }),
      ),
    );
    const [first] = await eventually(
      () => published.executions(),
      (all) => all.length > 0,
      30_000,
    );
    await published.unpublish();
    const run = await n8n.ended(first!);
    expect([run.stored.mode, run.status]).toEqual(['trigger', 'success']);
    const [item] = run.items('Ask');
    expect(item?.binary?.['data']).toMatchObject({ mimeType: 'image/png', fileName: 'line.png' });
    expect((await run.file(item!, 'data', 'view')).subarray(0, 4)).toEqual(PNG);
  });
});
