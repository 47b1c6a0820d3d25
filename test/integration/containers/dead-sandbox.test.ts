/** A sandbox that died unnoticed: the code that finds out runs in another one, once. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type AdminApp, type Answer, startAdminApp } from '../admin/admin-app.js';

let server: AdminApp;
let key: string;
beforeAll(async () => {
  server = await startAdminApp({ SANDBOX_POOL: '1g=0' });
  ({ key } = await server.project());
});
afterAll(() => server?.stop());

async function container(): Promise<string> {
  const made = await server.ask(key, 'POST', '/v1/containers', { name: 'ledger' });
  return made.body['id'] as string;
}

const run = (id: string, code: string): Promise<Answer> =>
  server.ask(key, 'POST', `/v1/containers/${id}/executions`, { code });

const textOf = (reply: Answer): string =>
  (reply.body['outputs'] as { type: string; text?: string }[])
    .filter(({ type }) => type === 'stdout')
    .map(({ text }) => text)
    .join('');

const codesOf = (reply: Answer): unknown[] =>
  (reply.body['outputs'] as { code?: string }[]).map(({ code }) => code).filter(Boolean);

it('runs the code in another one, with the files, and says that variables are gone', async () => {
  const id = await container();
  await run(id, 'set:total=1\nwrite:/mnt/data/ledger.csv:1');
  server.driver.faults.diesBeforeExecute = 1;
  const reply = await run(id, 'print:on');
  expect(reply.body).toMatchObject({ status: 'completed', state_lost: true });
  expect(codesOf(reply)).toEqual(['state_lost']);
  expect(textOf(reply)).toBe('on\n');
  const files = await server.ask(key, 'GET', `/v1/containers/${id}/files`);
  expect(files.body.data.map((file) => file['path'])).toEqual(['/mnt/data/ledger.csv']);
  expect(await run(id, 'print:on')).toMatchObject({ body: { state_lost: false } });
});

it('says nothing of variables where there were none', async () => {
  const id = await container();
  server.driver.faults.diesBeforeExecute = 1;
  const reply = await run(id, 'print:on');
  expect(reply.body).toMatchObject({ status: 'completed', state_lost: false });
  expect(textOf(reply)).toBe('on\n');
});

it('does not go on for ever', async () => {
  const id = await container();
  server.driver.faults.diesBeforeExecute = 2;
  const reply = await run(id, 'print:on');
  expect(reply.body).toMatchObject({ status: 'failed' });
  expect(codesOf(reply)).toEqual(['sandbox_failed']);
  expect(server.driver.faults.diesBeforeExecute).toBe(0);
  expect((await run(id, 'print:on')).body).toMatchObject({ status: 'completed' });
});
