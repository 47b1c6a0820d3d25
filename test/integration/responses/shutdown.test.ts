/** SIGTERM while clients wait for an answer that does not come: they are cut off, the server ends. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ModelEndpoint } from '../../fakes/model-endpoint/server.js';
import { Api, eventually } from '../../support/api.js';
import { showLogOnFailure } from '../../support/project.js';
import { startServer, type TestServer } from '../../support/server.js';

/** What `npm start` and Docker give a server before they kill it. */
const PATIENCE_MS = 30_000;
const MODEL = 'silent';

const model = new ModelEndpoint();
let server: TestServer;
showLogOnFailure(() => server);

beforeAll(async () => {
  await model.start();
  const provider = {
    name: 'fake',
    base_url: model.url,
    models: [MODEL],
    max_retries: 0,
    timeout_ms: 300_000,
  };
  server = await startServer({
    name: 'shutdown',
    fakeSandboxes: true,
    env: { MODEL_PROVIDERS: JSON.stringify([provider]) },
  });
});
afterAll(async () => {
  await server?.stop();
  await model.stop();
});

it('does not wait for a model that says nothing', async () => {
  const silent = { fault: { kind: 'stall', after: 0 } } as const;
  model.script(MODEL, silent, silent);
  const ask = (stream: boolean): Promise<string> =>
    fetch(`${server.url}/responses`, {
      method: 'POST',
      headers: { authorization: `Bearer ${server.apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: MODEL, input: 'hello', stream }),
    })
      .then((reply) => reply.text())
      .catch(() => 'cut off');
  const waiting = [ask(true), ask(false)];
  await eventually(
    () => Promise.resolve(model.requestsOf(MODEL).length),
    (count) => count === 2,
  );
  const begin = Date.now();
  await server.kill('SIGTERM');
  expect(Date.now() - begin).toBeLessThan(PATIENCE_MS);
  // Both are told before they are cut off.
  const [stream, reply] = await Promise.all(waiting);
  expect(stream).toContain('event: response.failed');
  expect(JSON.parse(reply!)).toMatchObject({
    status: 'failed',
    error: { message: expect.stringContaining('is stopping') as string },
  });

  await server.start();
  const api = new Api(server.url, server.apiKey);
  expect((await api.get('/models')).status).toBe(200);
});
