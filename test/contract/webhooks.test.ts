/** Webhooks across the death of the server, on a server of its own, with a response that ran on gVisor. */
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebhookReceiver } from '../fakes/webhook-receiver/receiver.js';
import { Api, eventually, type Page } from '../support/api.js';
import { onDatabase, showLogOnFailure } from '../support/project.js';
import { startServer, type TestServer } from '../support/server.js';

const START_TIMEOUT_MS = 300_000;
const TOOLS = [{ type: 'code_interpreter', container: { type: 'auto' } }];

let server: TestServer;
let api: Api;
const receiver = new WebhookReceiver();
const unwrapper = new OpenAI({ apiKey: 'x' });
showLogOnFailure(() => server);

beforeAll(async () => {
  await receiver.start();
  server = await startServer({ name: 'webhooks', env: { SANDBOX_POOL: '1g=1', WEBHOOK_TIMEOUT_MS: '2000' } });
  api = new Api(server.url, server.apiKey);
}, START_TIMEOUT_MS);
afterAll(async () => {
  await server?.stop();
  await receiver.stop();
});

const admin = <T>(method: string, path: string) =>
  new Api(`${server.origin}/admin/v1`, server.adminKey).ok<T>(method, path);
const respond = (fields: object = {}) =>
  api.ok<{ id: string }>('POST', '/responses', {
    model: 'python',
    input: 'print(1)',
    tools: TOOLS,
    ...fields,
  });
const register = (path: string) =>
  api.ok<{ id: string; signing_secret: string }>('POST', '/webhook_endpoints', {
    url: receiver.url(path),
    event_types: ['response.completed', 'response.failed'],
  });
const delivered = (subject: string) =>
  eventually(
    async () =>
      (
        await admin<Page<{ status: string; attempt_count: number }>>(
          'GET',
          `/webhook_deliveries?subject_id=${subject}`,
        )
      ).data,
    (found) => found.length > 0 && found.every(({ status }) => status === 'delivered'),
    60_000,
  );

describe('an event', () => {
  it('that was being sent when the server was killed comes after the restart, under the same id', async () => {
    const { id: endpoint, signing_secret: secret } = await register('/killed');
    receiver.script('/killed', 'silent');
    const { id } = await respond();
    await receiver.called('/killed');
    await server.restart('SIGKILL');
    const [first, second] = await receiver.called('/killed', 2, 60_000);
    expect(second!.headers['webhook-id']).toBe(first!.headers['webhook-id']);
    expect(await unwrapper.webhooks.unwrap(second!.body, second!.headers as never, secret)).toMatchObject({
      type: 'response.completed',
      data: { id },
    });
    expect(await delivered(id)).toMatchObject([{ status: 'delivered', attempt_count: 2 }]);
    expect(receiver.at('/killed')).toHaveLength(2);
    await api.delete(`/webhook_endpoints/${endpoint}`);
  }, 120_000);

  it('that nobody had begun to send comes after the restart', async () => {
    const { id: endpoint } = await register('/unsent');
    await server.kill('SIGKILL');
    // As if the server had died right after the commit that ended a response.
    await onDatabase(server, (client) =>
      client.query(
        `INSERT INTO "WebhookDelivery" ("id","projectId","endpointId","url","eventId","eventType","subjectId","payload")
         SELECT 'wh_unsent', "projectId", "id", "url", 'evt_unsent', 'response.completed', 'resp_unsent',
                '{"id":"evt_unsent","object":"event","type":"response.completed","created_at":1,"data":{"id":"resp_unsent"}}'
           FROM "WebhookEndpoint" WHERE "id" = $1`,
        [endpoint],
      ),
    );
    await server.start();
    const [call] = await receiver.called('/unsent', 1, 60_000);
    expect(JSON.parse(call!.body)).toMatchObject({ id: 'evt_unsent' });
    await api.delete(`/webhook_endpoints/${endpoint}`);
  }, 120_000);

  it('tells of a response that the death of the server ended', async () => {
    const { id: endpoint } = await register('/cut-off');
    const callback = '/cut-off-callback';
    const request = respond({
      input: 'import time; time.sleep(60)',
      callback_url: receiver.url(callback),
    }).catch(() => undefined);
    await eventually(
      () => admin<Page<{ status: string }>>('GET', '/executions?status=running'),
      ({ data }) => data.length > 0,
      60_000,
    );
    await server.restart('SIGKILL');
    await request;
    const [[told], [called]] = await Promise.all([
      receiver.called('/cut-off', 1, 60_000),
      receiver.called(callback, 1, 60_000),
    ]);
    expect(JSON.parse(told!.body)).toMatchObject({ type: 'response.failed' });
    expect(JSON.parse(called!.body)).toEqual(JSON.parse(told!.body));
    await api.delete(`/webhook_endpoints/${endpoint}`);
  }, 180_000);
});
