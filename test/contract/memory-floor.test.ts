/**
 * A host that is short of memory: no new sandbox starts below the floor, and none is given up
 * when that would not help. The memory is real; what the test moves is the floor.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api, type Execution } from '../support/api.js';
import { showLogOnFailure } from '../support/project.js';
import { startServer, type TestServer } from '../support/server.js';

const START_TIMEOUT_MS = 300_000;
/** More than any machine has free. */
const OUT_OF_REACH = { MEMORY_FLOOR_BYTES: '64000g' };

let server: TestServer;
let api: Api;
showLogOnFailure(() => server);

beforeAll(async () => {
  server = await startServer({ name: 'floor', env: { SANDBOX_POOL: '1g=0' } });
  api = new Api(server.url, server.apiKey);
}, START_TIMEOUT_MS);
afterAll(async () => server?.stop());

const newContainer = async () => (await api.ok<{ id: string }>('POST', '/containers', { name: 'floor' })).id;
const run = (container: string, code: string) =>
  api.ok<Execution>('POST', `/containers/${container}/executions`, { code });
const text = (execution: Execution) =>
  execution.outputs.map((output) => output.text ?? output.message ?? '').join('');

describe('below the floor of free memory', () => {
  it('containers with a sandbox go on, and clients that need a new one are told to wait', async () => {
    const [kept, idle] = [await newContainer(), await newContainer()];
    await run(kept, 'x = 41');
    await run(idle, "open('/mnt/data/kept.txt', 'w').write('still here'); y = 1");
    expect(await server.sandboxes()).toHaveLength(2);

    await server.kill('SIGKILL');
    await server.start(OUT_OF_REACH);
    // It needs no new sandbox, so it is served as before, variables included.
    expect(text(await run(kept, 'print(x + 1)'))).toContain('42');

    const refused = await api.post(`/containers/${await newContainer()}/executions`, { code: 'print(1)' });
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(refused.body['error']).toMatchObject({ code: 'sandbox_capacity' });
    // No sandbox holds what is missing, so none is given up in vain.
    expect(await server.sandboxes()).toHaveLength(2);
    expect(await api.ok('GET', `/containers/${kept}`)).toMatchObject({ status: 'running' });

    await server.kill('SIGTERM');
    await server.start();
    const again = await run(idle, "print(open('/mnt/data/kept.txt').read())");
    expect(text(again)).toContain('still here');
    // An orderly stop leaves sandboxes to the next start.
    expect(text(await run(kept, 'print(x + 1)'))).toContain('42');
  });
});
