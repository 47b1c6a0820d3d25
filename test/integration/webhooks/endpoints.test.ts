/** `/v1/webhook_endpoints` as the official client and the n8n trigger use it. */
import type { AddressInfo } from 'node:net';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AdminApp, startAdminApp } from '../admin/admin-app.js';

const URL = 'http://127.0.0.1:9/hook';
const MAX = 5;

let server: AdminApp;
let base: string;
let key: string;
let projectId: string;
let client: OpenAI;

beforeAll(async () => {
  server = await startAdminApp({ SANDBOX_POOL: '', WEBHOOK_MAX_ENDPOINTS: String(MAX) });
  await server.app.listen(0, '127.0.0.1');
  base = `http://127.0.0.1:${(server.app.getHttpServer().address() as AddressInfo).port}/v1`;
  ({ key, id: projectId } = await server.project());
  client = new OpenAI({ apiKey: key, baseURL: base, maxRetries: 0 });
});
afterAll(() => server?.stop());

const ask = (method: string, path: string, body?: unknown, as = key) =>
  server.ask(as, method, `/v1/webhook_endpoints${path}`, body);
const removeAll = async () => {
  for await (const each of client.webhooks.list()) await client.webhooks.delete(each.id);
};

describe('the official client', () => {
  it('creates, retrieves, changes, lists and deletes', async () => {
    const made = await client.webhooks.create({
      name: 'mine',
      url: URL,
      event_types: ['response.completed'],
    });
    expect(made).toMatchObject({
      id: expect.stringMatching(/^whe_[0-9a-f]{32}$/) as string,
      object: 'webhook_endpoint',
      name: 'mine',
      url: URL,
      event_types: ['response.completed'],
      signing_secret: expect.stringMatching(/^whsec_/) as string,
      signing_secret_hint: `whsec_…${made.signing_secret.slice(-4)}`,
      enabled: true,
      disabled_reason: null,
    });
    const { signing_secret: _, ...shown } = made;
    expect(await client.webhooks.retrieve(made.id)).toEqual(shown);
    const changed = await client.webhooks.update(made.id, { name: 'ours', event_types: ['response.failed'] });
    expect(changed).toMatchObject({ name: 'ours', url: URL, event_types: ['response.failed'] });
    expect((await client.webhooks.list()).data).toEqual([changed]);
    expect(await client.webhooks.delete(made.id)).toEqual({
      id: made.id,
      object: 'webhook_endpoint.deleted',
      deleted: true,
    });
    await expect(client.webhooks.retrieve(made.id)).rejects.toMatchObject({ status: 404 });
    await expect(client.webhooks.delete(made.id)).rejects.toMatchObject({ status: 404 });
  });

  it('pages through them, newest first', async () => {
    const ids: string[] = [];
    for (const name of ['a', 'b', 'c'])
      ids.unshift((await client.webhooks.create({ name, url: URL, event_types: ['response.failed'] })).id);
    const seen: string[] = [];
    for await (const each of client.webhooks.list({ limit: 1 })) seen.push(each.id);
    expect(seen).toEqual(ids);
    expect((await ask('GET', '?order=asc')).body.data.map(({ id }) => id)).toEqual(ids.toReversed());
    expect((await ask('GET', '?after=whe_x')).status).toBe(404);
    await removeAll();
  });

  it('rotates the secret', async () => {
    const made = await client.webhooks.create({ name: 'x', url: URL, event_types: ['response.failed'] });
    const next = await client.webhooks.rotateSecret(made.id, { keep_old_secret_active_for_24_hours: true });
    expect(next.signing_secret).toMatch(/^whsec_/);
    expect(next.signing_secret).not.toBe(made.signing_secret);
    expect(next.id).toBe(made.id);
    await removeAll();
  });

  it('lists the types of events', async () => {
    const { data } = await client.webhooks.eventTypes.list();
    expect(data).toContain('response.completed');
    expect(data).toContain('container.expired');
  });
});

describe('a secret', () => {
  it('is in no list, and in the database not readable', async () => {
    const made = await client.webhooks.create({ name: 'x', url: URL, event_types: ['response.failed'] });
    const secret = made.signing_secret;
    for (const path of ['', `/${made.id}`]) expect((await ask('GET', path)).text).not.toContain(secret);
    expect((await ask('POST', `/${made.id}`, { name: 'y' })).text).not.toContain(secret);
    const row = await server.prisma.webhookEndpoint.findUniqueOrThrow({ where: { id: made.id } });
    expect(
      JSON.stringify(row, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value)),
    ).not.toContain(secret.slice(6, 20));
    await removeAll();
  });

  it('of callbacks can be read again, and replaced; another project has another one', async () => {
    const read = async (as?: string) =>
      (await ask('GET', '/callback_secret', undefined, as)).body['signing_secret'];
    const first = await read();
    expect(first).toMatch(/^whsec_/);
    expect(await read()).toBe(first);
    expect(await read((await server.project()).key)).not.toBe(first);
    const next = (await ask('POST', '/callback_secret/rotate')).body['signing_secret'];
    expect(next).not.toBe(first);
    expect(await read()).toBe(next);
  });
});

describe('disabling', () => {
  it('is undone by enabling, which forgets the reason', async () => {
    const made = await client.webhooks.create({ name: 'x', url: URL, event_types: ['response.failed'] });
    const id = made.id;
    expect((await ask('POST', `/${id}`, { enabled: false })).body['enabled']).toBe(false);
    await server.prisma.webhookEndpoint.update({ where: { id }, data: { disabledReason: 'gone' } });
    expect((await ask('GET', `/${id}`)).body).toMatchObject({ enabled: false, disabled_reason: 'gone' });
    expect((await ask('POST', `/${id}`, { enabled: true })).body).toMatchObject({
      enabled: true,
      disabled_reason: null,
    });
    await removeAll();
  });
});

describe('what is refused', () => {
  const good = { url: URL, event_types: ['response.completed'] };
  it.each([
    [{ ...good, url: undefined }, 'missing_required_parameter', 'url'],
    [{ url: URL }, 'missing_required_parameter', 'event_types'],
    [{ ...good, event_types: [] }, 'array_below_min_length', 'event_types'],
    [{ ...good, event_types: ['batch.completed'] }, 'invalid_value', 'event_types[0]'],
    [{ ...good, events: ['response.failed'] }, 'unknown_parameter', 'events'],
    [{ ...good, url: 'ftp://127.0.0.1' }, 'invalid_value', 'url'],
    [{ ...good, url: 'http://169.254.169.254/latest/meta-data' }, 'webhook_url_refused', 'url'],
    [{ ...good, url: 'http://192.168.0.1/' }, 'webhook_url_refused', 'url'],
    [{ ...good, description: 'x' }, 'unknown_parameter', 'description'],
  ])('%j', async (body, code, param) => {
    const { status, body: answer } = await ask('POST', '', body);
    expect([status, answer.error.code, answer.error.param]).toEqual([400, code, param]);
  });

  it('a change to an address that is refused', async () => {
    const { id } = await client.webhooks.create({ name: 'x', url: URL, event_types: ['response.failed'] });
    expect((await ask('POST', `/${id}`, { url: 'http://10.0.0.1' })).body.error.code).toBe(
      'webhook_url_refused',
    );
    expect((await ask('GET', `/${id}`)).body['url']).toBe(URL);
    await removeAll();
  });

  it('more of them than a project may have, however many ask at once', async () => {
    const all = await Promise.all(Array.from({ length: MAX + 3 }, () => ask('POST', '', good)));
    const refused = all.filter(({ status }) => status !== 200);
    expect(refused.map(({ status, body }) => [status, body.error.code])).toEqual(
      Array.from({ length: 3 }, () => [400, 'webhook_endpoint_limit_reached']),
    );
    await removeAll();
  });

  it('anything with the endpoint of another project', async () => {
    const { id } = await client.webhooks.create({ name: 'x', url: URL, event_types: ['response.failed'] });
    const other = (await server.project()).key;
    const asked = await Promise.all([
      ask('GET', `/${id}`, undefined, other),
      ask('POST', `/${id}`, { name: 'mine' }, other),
      ask('DELETE', `/${id}`, undefined, other),
      ask('POST', `/${id}/rotate_secret`, {}, other),
    ]);
    expect(asked.map(({ status, body }) => [status, body.error.message])).toEqual(
      asked.map(() => [404, `Webhook endpoint with id '${id}' not found.`]),
    );
    expect((await ask('GET', '', undefined, other)).body.data).toEqual([]);
    await removeAll();
  });
});

it('goes with its project', async () => {
  await client.webhooks.create({ name: 'x', url: URL, event_types: ['response.failed'] });
  expect((await server.admin('DELETE', `/admin/v1/projects/${projectId}?force=true`)).status).toBe(200);
  expect(await server.prisma.webhookEndpoint.count({ where: { projectId } })).toBe(0);
});
