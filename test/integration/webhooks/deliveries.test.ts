/** Events on their way to a real receiver, with the real database and queue. */
import OpenAI from 'openai';
import OpenAIv6 from 'openai-v6';
import { describe, expect, it } from 'vitest';
import { eventually } from '../../support/api.js';
import { RESPONSE_EVENTS, TOOLS, useWebhookApp } from './webhook-app.js';

const app = useWebhookApp();

describe.each([
  ['openai 7', OpenAI],
  ['openai 6', OpenAIv6 as unknown as typeof OpenAI],
])('what %s unwraps', (_, Client) => {
  it.each([false, true])('is the end of a response, in the background: %s', async (background) => {
    const { path, secret } = await app.listen();
    const { id } = await app.respond({ background });
    const [call] = await app.receiver.called(path);
    const event = await new Client({ apiKey: 'x' }).webhooks.unwrap(call!.body, call!.headers, secret);
    expect(event).toEqual({
      id: expect.stringMatching(/^evt_[0-9a-f]{32}$/) as string,
      object: 'event',
      type: 'response.completed',
      created_at: expect.any(Number) as number,
      data: { id },
    });
    expect(call!.headers['webhook-id']).toMatch(/^wh_[0-9a-f]{32}$/);
  });
});

describe('events', () => {
  it('come after the end is written, so a receiver can ask for it', async () => {
    const { path } = await app.listen();
    app.receiver.script(path, 'silent');
    const response = app.respond();
    const [call] = await app.receiver.called(path);
    const { data } = JSON.parse(call!.body) as { data: { id: string } };
    expect((await app.get(`/responses/${data.id}`)).body['status']).toBe('completed');
    app.receiver.release();
    await response;
  });

  it('tell of a response that was cancelled', async () => {
    const { path } = await app.listen();
    const { id } = await app.respond({ background: true, input: 'sleep:60000' });
    const running = await eventually(
      async () => (await app.get(`/responses/${id}`)).body['status'],
      (status) => status === 'in_progress',
    );
    expect(running).toBe('in_progress');
    await app.post(`/responses/${id}/cancel`, undefined);
    const [call] = await app.receiver.called(path);
    expect(JSON.parse(call!.body)).toMatchObject({ type: 'response.cancelled', data: { id } });
  });

  it('come once to each endpoint that wants them, and to no other', async () => {
    const { path, id: first } = await app.listen(['response.completed']);
    const [second, unwanted, disabled] = ['second', 'unwanted', 'disabled'].map((name) => `${path}-${name}`);
    await app.post('/webhook_endpoints', {
      url: app.receiver.url(second!),
      event_types: ['response.completed'],
    });
    await app.post('/webhook_endpoints', {
      url: app.receiver.url(unwanted!),
      event_types: ['response.failed'],
    });
    const { id } = (
      await app.post('/webhook_endpoints', {
        url: app.receiver.url(disabled!),
        event_types: ['response.completed'],
      })
    ).body;
    await app.post(`/webhook_endpoints/${id}`, { enabled: false });
    const other = await app.server.project();
    const stranger = `${path}-stranger`;
    await app.post(
      '/webhook_endpoints',
      { url: app.receiver.url(stranger), event_types: RESPONSE_EVENTS },
      other.key,
    );
    const { id: response } = await app.respond();
    const [a] = await app.receiver.called(path);
    const [b] = await app.receiver.called(second!);
    await app.settled(`subject_id=${response}`, 'delivered');
    expect(JSON.parse(a!.body)).toEqual(JSON.parse(b!.body));
    expect(a!.headers['webhook-id']).not.toBe(b!.headers['webhook-id']);
    expect(await app.deliveries(`subject_id=${response}`)).toHaveLength(2);
    expect(await app.deliveries(`endpoint_id=${first}`)).toHaveLength(1);
    expect([unwanted!, disabled!, stranger].flatMap((each) => app.receiver.at(each))).toEqual([]);
  });

  it('tell of a container that expired, once, whoever notices', async () => {
    const { path } = await app.listen(['container.expired']);
    const make = async () => (await app.post('/containers', { name: 'x', session_key: 's' })).body.id;
    const [swept, replaced] = [(await app.post('/containers', { name: 'y' })).body.id, await make()];
    const old = new Date(Date.now() - 60 * 60_000);
    await app.server.prisma.container.updateMany({
      where: { id: { in: [swept, replaced] } },
      data: { lastActiveAt: old },
    });
    expect(await make()).not.toBe(replaced);
    for (let turn = 0; turn < 2; turn++) await app.server.admin('POST', '/admin/v1/sweep');
    const calls = await app.receiver.called(path, 2);
    const told = calls.map(({ body }) => JSON.parse(body) as { type: string; data: { id: string } });
    expect(told.map(({ type }) => type)).toEqual(['container.expired', 'container.expired']);
    expect(told.map(({ data }) => data.id).sort()).toEqual([swept, replaced].sort());
    expect(await app.deliveries(`event_type=container.expired`)).toHaveLength(2);
  });
});

describe('callback_url', () => {
  it('is called when the response has ended, signed with the project’s secret', async () => {
    await app.newProject();
    const path = `${app.path()}?signature=token`;
    const { id } = await app.respond({ background: true, callback_url: app.receiver.url(path) });
    const [call] = await app.receiver.called(path);
    const secret = (await app.get('/webhook_endpoints/callback_secret')).body['signing_secret'];
    const client = new OpenAI({ apiKey: 'x', webhookSecret: secret as string });
    expect(await client.webhooks.unwrap(call!.body, call!.headers as never)).toMatchObject({
      type: 'response.completed',
      data: { id },
    });
    const [row] = await app.settled(`subject_id=${id}`, 'delivered');
    expect(row).toMatchObject({
      endpoint_id: null,
      url: app.receiver.url(path.replace('signature=token', '…')),
    });
    expect((await app.get(`/responses/${id}`)).text).not.toContain('callback');
  });

  it('comes beside the endpoints, for a response that is waited for as well', async () => {
    const { path } = await app.listen();
    const callback = `${path}-callback`;
    const { id } = await app.respond({ callback_url: app.receiver.url(callback) });
    const [[a], [b]] = await Promise.all([app.receiver.called(path), app.receiver.called(callback)]);
    expect(JSON.parse(a!.body)).toEqual(JSON.parse(b!.body));
    expect(JSON.parse(a!.body)).toMatchObject({ data: { id } });
  });

  it.each([
    [{ callback_url: 'http://169.254.169.254/' }, 'webhook_url_refused'],
    [{ callback_url: 'http://10.0.0.1/' }, 'webhook_url_refused'],
    [{ callback_url: 'x' }, 'invalid_value'],
    [{ callback_url: 1 }, 'invalid_type'],
    [{ callback_url: 'http://127.0.0.1:1/', store: false }, 'unsupported_parameter'],
  ])('%j is refused', async (fields, code) => {
    await app.newProject();
    const { status, body } = await app.post('/responses', {
      model: 'python',
      input: 'x',
      tools: TOOLS,
      ...fields,
    });
    expect([status, body.error.code, body.error.param]).toEqual([400, code, 'callback_url']);
  });
});

describe('a test of an endpoint', () => {
  it('sends a made-up event that unwraps, and tells what was answered', async () => {
    const { path, id, secret } = await app.listen();
    app.receiver.script(path, { status: 418 });
    const answer = await app.post(`/webhook_endpoints/${id}/test`, { event_type: 'response.failed' });
    expect(answer.body).toEqual({
      object: 'webhook_endpoint.test',
      webhook_endpoint_id: id,
      event_type: 'response.failed',
      status_code: 418,
      success: false,
    });
    const [call] = app.receiver.at(path);
    const event = await new OpenAI({ apiKey: 'x' }).webhooks.unwrap(
      call!.body,
      call!.headers as never,
      secret,
    );
    expect(event.type).toBe('response.failed');
    expect(await app.deliveries(`endpoint_id=${id}`)).toEqual([]);
  });

  it.each([
    [200, true],
    [204, true],
    [302, false],
    [307, false],
    [500, false],
  ])('takes %i for success: %s, as a delivery does', async (status, success) => {
    const { path, id } = await app.listen();
    app.receiver.script(path, { status });
    const answer = await app.post(`/webhook_endpoints/${id}/test`, { event_type: 'response.failed' });
    expect(answer.body).toMatchObject({ status_code: status, success });
  });

  it('says why there was no answer', async () => {
    const { path, id } = await app.listen();
    app.receiver.script(path, 'hang-up');
    const { status, body } = await app.post(`/webhook_endpoints/${id}/test`, {
      event_type: 'response.failed',
    });
    expect([status, body.error.message]).toEqual([400, 'The endpoint could not be reached. socket hang up']);
  });

  it('is signed with the old secret too, as long as that was to be kept', async () => {
    const { path, id, secret } = await app.listen();
    const client = new OpenAI({ apiKey: 'x' });
    const isSignedWithOld = async (keep_old_secret_active_for_24_hours: boolean) => {
      await app.post(`/webhook_endpoints/${id}/rotate_secret`, { keep_old_secret_active_for_24_hours });
      await app.post(`/webhook_endpoints/${id}/test`, { event_type: 'response.failed' });
      const call = app.receiver.at(path).at(-1)!;
      return client.webhooks.unwrap(call.body, call.headers as never, secret).then(
        () => true,
        () => false,
      );
    };
    expect(await isSignedWithOld(true)).toBe(true);
    await app.server.prisma.webhookEndpoint.update({
      where: { id },
      data: { previousSecretUntil: new Date() },
    });
    await app.post(`/webhook_endpoints/${id}/test`, { event_type: 'response.failed' });
    const late = app.receiver.at(path).at(-1)!;
    await expect(client.webhooks.unwrap(late.body, late.headers as never, secret)).rejects.toThrow();
    expect(await isSignedWithOld(false)).toBe(false);
  });
});
