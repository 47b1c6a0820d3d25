/** The Stop button of n8n reaches the code on the server. */
import { describe, expect, it } from 'vitest';
import { eventually, type Page } from '../support/api.js';
import { byId, useBench } from './support/nodes.js';
import { chain, MANUAL, node, type Node } from './support/workflow.js';

const { n8n, api, containers, responses } = useBench();
const ENDLESS = 'import time\nwhile True:\n    time.sleep(0.1)';

interface Executions {
  readonly data: readonly { readonly id: string; readonly status: string }[];
}

/** Runs a node on a container of its own, and presses Stop as soon as its code runs. */
async function stopped(of: (containerId: string) => Node): Promise<{ status: string; execution?: string }> {
  const container = await api.newContainer();
  const executions = (): Promise<Executions> => api.ok('GET', `/containers/${container}/executions`);
  const id = await n8n.start(chain(node('Start', MANUAL), of(container)));
  const running = await eventually(executions, ({ data }) => data[0]?.status === 'running', 60_000);
  expect(running.data).toMatchObject([{ status: 'running' }]);
  await n8n.ok('POST', `/rest/executions/${id}/stop`);
  const { status } = await n8n.ended(id);
  const after = await eventually(executions, ({ data }) => data[0]?.status !== 'running', 20_000);
  await api.delete(`/containers/${container}`);
  return { status, execution: after.data[0]!.status };
}

describe('stopping the execution in n8n', () => {
  it('interrupts the code of Run Code', async () => {
    const ended = await stopped((id) =>
      containers('Run', {
        resource: 'code',
        operation: 'runCode',
        code: ENDLESS,
        container: 'id',
        containerId: byId(id),
      }),
    );
    expect(ended).toEqual({ status: 'canceled', execution: 'interrupted' });
  });

  it.each(['poll', 'connection'])('cancels a response that is waited for by %s', async (runMode) => {
    const ended = await stopped((id) =>
      responses('Ask', {
        resource: 'response',
        operation: 'create',
        model: byId('python'),
        prompt: ENDLESS,
        container: 'id',
        containerId: byId(id),
        runMode,
      }),
    );
    expect(ended).toEqual({ status: 'canceled', execution: 'interrupted' });
  });

  it.skipIf(!n8n.tellsEnds)('removes the container of the execution', async () => {
    const name = `stopped ${Date.now()}`;
    const containersNow = async (): Promise<readonly { status: string; id: string }[]> =>
      (
        await api.ok<Page<{ id: string; status: string }>>(
          'GET',
          `/containers?name=${encodeURIComponent(name)}`,
        )
      ).data;
    const id = await n8n.start(
      chain(
        node('Start', MANUAL),
        containers('Create', {
          resource: 'container',
          operation: 'create',
          name,
          options: { deleteAtEnd: true },
        }),
        containers('Run', {
          resource: 'code',
          operation: 'runCode',
          code: ENDLESS,
          container: 'id',
          containerId: byId('={{ $json.container_id }}'),
        }),
      ),
    );
    const running = await eventually(containersNow, (all) => all.length === 1, 30_000);
    const executions = `/containers/${running[0]?.id}/executions`;
    await eventually(
      () => api.ok<Executions>('GET', executions),
      ({ data }) => data[0]?.status === 'running',
      30_000,
    );
    await n8n.ok('POST', `/rest/executions/${id}/stop`);
    await n8n.ended(id);
    expect(await eventually(containersNow, (all) => all.length === 0)).toEqual([]);
  });

  it.each([
    [
      'Run Python',
      () => containers('Run', { resource: 'code', operation: 'runCode', code: ENDLESS, container: 'new' }),
    ],
    [
      'Ask a Model',
      () =>
        responses('Run', {
          resource: 'response',
          operation: 'create',
          model: byId('python'),
          prompt: ENDLESS,
        }),
    ],
  ])('removes the new container of %s', async (_, of) => {
    const running = async (): Promise<string[]> =>
      (await api.ok<Page<{ id: string; status: string }>>('GET', '/containers?limit=100')).data
        .filter(({ status }) => status === 'running')
        .map(({ id }) => id);
    const before = await running();
    const id = await n8n.start(chain(node('Start', MANUAL), of()));
    const [made] = (await eventually(running, (all) => all.length > before.length, 30_000)).filter(
      (each) => !before.includes(each),
    );
    await eventually(
      () => api.ok<Executions>('GET', `/containers/${made}/executions`),
      ({ data }) => data[0]?.status === 'running',
      30_000,
    );
    await n8n.ok('POST', `/rest/executions/${id}/stop`);
    await n8n.ended(id);
    expect(await eventually(running, (all) => !all.includes(made!), 30_000)).not.toContain(made);
  });
});
