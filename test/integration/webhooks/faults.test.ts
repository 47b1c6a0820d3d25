/** Receivers that misbehave, and processes that died: every event comes, and none is sent to nobody twice. */
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';
import { describe, expect, it, vi } from 'vitest';
import { eventually } from '../../support/api.js';
import { JobScheduler } from '../../../orchestrator/src/queues/job-scheduler.js';
import { QUEUES } from '../../../orchestrator/src/queues/queue-names.js';
import {
  DELIVER,
  DeliveriesService,
} from '../../../orchestrator/src/webhooks/deliveries/deliveries.service.js';
import { DeliveryRepository } from '../../../orchestrator/src/webhooks/deliveries/delivery.repository.js';
import { startAdminApp } from '../admin/admin-app.js';
import { useWebhookApp } from './webhook-app.js';

const app = useWebhookApp();

describe('a receiver that does not take it', () => {
  it.each([
    ['500', { status: 500, body: 'broken' } as const, 500, 'The receiver answered 500.'],
    [
      'a redirect',
      { status: 302, headers: { location: '/stolen' } } as const,
      302,
      'The receiver answered 302.',
    ],
    ['silence', 'silent' as const, null, 'No answer within 1000 ms.'],
    ['a hang-up', 'hang-up' as const, null, 'socket hang up'],
  ])('with %s gets it again under the same id, then signed anew', async (_, behaviour, status, error) => {
    const { path, secret } = await app.listen();
    app.receiver.script(path, behaviour);
    const { id } = await app.respond();
    const [first, second] = await app.receiver.called(path, 2);
    expect(second!.headers['webhook-id']).toBe(first!.headers['webhook-id']);
    expect(second!.body).toBe(first!.body);
    await new OpenAI({ apiKey: 'x' }).webhooks.verifySignature(
      second!.body,
      second!.headers as never,
      secret,
    );
    const [row] = await app.settled(`subject_id=${id}`, 'delivered');
    const { attempts } = await app.delivery(row!.id);
    expect(attempts).toMatchObject([
      { number: 1, status_code: status, error },
      { number: 2, status_code: 200, error: null },
    ]);
    expect(app.receiver.at('/stolen')).toEqual([]);
  });

  it('is given up after the last try, and gets it again if the operator wants', async () => {
    const { path } = await app.listen();
    app.receiver.script(path, { status: 500 }, { status: 503, body: 'still' });
    const { id } = await app.respond();
    const [row] = await app.settled(`subject_id=${id}`, 'failed');
    expect(await app.delivery(row!.id)).toMatchObject({
      attempt_count: 2,
      last_status_code: 503,
      last_error: 'The receiver answered 503.',
      attempts: [{ number: 1 }, { number: 2, answer: 'still' }],
    });
    expect((await app.server.admin('POST', `/admin/v1/webhook_deliveries/${row!.id}/redeliver`)).status).toBe(
      200,
    );
    const calls = await app.receiver.called(path, 3);
    expect(new Set(calls.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect((await app.settled(`subject_id=${id}`, 'delivered'))[0]).toMatchObject({ attempt_count: 3 });
  });

  it('because it is gone is not asked again, and disabled with the end of the delivery', async () => {
    const { path, id: endpoint } = await app.listen();
    app.receiver.script(path, { status: 410 });
    const { finish } = DeliveryRepository.prototype;
    let shown: unknown;
    // What a server that dies right after this leaves behind.
    const spy = vi.spyOn(DeliveryRepository.prototype, 'finish').mockImplementation(async function (
      this: DeliveryRepository,
      ...call
    ) {
      const written = await finish.apply(this, call);
      shown = (await app.get(`/webhook_endpoints/${endpoint}`)).body;
      return written;
    });
    const { id } = await app.respond();
    const [row] = await app.settled(`subject_id=${id}`, 'failed');
    expect(row).toMatchObject({ attempt_count: 1, last_status_code: 410 });
    await vi.waitFor(() => expect(shown).toBeDefined(), 5_000);
    spy.mockRestore();
    expect(shown).toMatchObject({ enabled: false, disabled_reason: 'The endpoint answered 410 Gone.' });
    await app.respond();
    expect(await app.deliveries(`endpoint_id=${endpoint}`)).toHaveLength(1);
    const again = await app.server.admin('POST', `/admin/v1/webhook_deliveries/${row!.id}/redeliver`);
    expect([again.status, again.body.error.message]).toEqual([400, expect.stringContaining('disabled')]);
  });

  it('because it is gone ends what is on its way to it at the same time', async () => {
    const { path, id: endpoint } = await app.listen();
    app.receiver.script(path, ...Array.from({ length: 4 }, () => ({ status: 410 })));
    const { finish } = DeliveryRepository.prototype;
    let answered = 0;
    const all = Promise.withResolvers<void>();
    const spy = vi.spyOn(DeliveryRepository.prototype, 'finish').mockImplementation(async function (
      this: DeliveryRepository,
      ...call
    ) {
      // All of them are told to go away before the first writes it down.
      answered += 1;
      if (answered === 4) all.resolve();
      await all.promise;
      return finish.apply(this, call);
    });
    await Promise.all(Array.from({ length: 4 }, () => app.respond()));
    await eventually(
      () => app.deliveries(`endpoint_id=${endpoint}&status=failed`),
      (failed) => failed.length === 4,
      10_000,
    );
    expect(await app.deliveries(`endpoint_id=${endpoint}&status=failed`)).toHaveLength(4);
    // None of them waited for another that waited for it.
    const ends = await Promise.allSettled(spy.mock.results.map(({ value }) => value as Promise<boolean>));
    expect(ends.map(({ status }) => status)).toEqual(Array.from({ length: 4 }, () => 'fulfilled'));
    spy.mockRestore();
  });

  it('does not keep others waiting', async () => {
    const slow = await app.listen();
    app.receiver.script(slow.path, ...Array.from({ length: 12 }, () => 'silent' as const));
    const fast = `${slow.path}-fast`;
    app.receiver.mostAtOnce = 0;
    await Promise.all(Array.from({ length: 12 }, () => app.respond()));
    await app.receiver.called(slow.path, 4);
    await app.post('/webhook_endpoints', {
      url: app.receiver.url(fast),
      event_types: ['response.completed'],
    });
    const { id } = await app.respond();
    await app.receiver.called(fast);
    expect(app.receiver.mostAtOnce).toBeLessThanOrEqual(4 + 1);
    app.receiver.release();
    await app.receiver.called(slow.path, 13);
    await app.settled(`subject_id=${id}`, 'delivered');
  });

  it('was deleted meanwhile, and hears nothing more', async () => {
    const { path, id: endpoint } = await app.listen();
    app.receiver.script(path, { status: 500 });
    const { id } = await app.respond();
    await app.receiver.called(path);
    await app.server.ask(app.key, 'DELETE', `/v1/webhook_endpoints/${endpoint}`);
    expect(await app.deliveries(`subject_id=${id}`)).toEqual([]);
  });

  it('is deleted while the end of a try is written, whichever comes first', async () => {
    const answers: unknown[] = [];
    for (let round = 0; round < 40; round += 1) {
      const { path, id: endpoint } = await app.listen();
      app.receiver.script(path, { status: 500 });
      await app.respond();
      await app.receiver.called(path);
      await sleep(round % 8);
      const { status, body } = await app.server.ask(app.key, 'DELETE', `/v1/webhook_endpoints/${endpoint}`);
      answers.push(status === 200 || { status, body });
    }
    expect(answers.filter((answer) => answer !== true)).toEqual([]);
  });
});

describe('what a process left behind', () => {
  it('is found and sent, once', async () => {
    const { path, id: endpointId } = await app.listen();
    const payload = {
      id: 'evt_left',
      object: 'event',
      type: 'response.completed',
      created_at: 1,
      data: { id: 'resp_x' },
    };
    const { projectId } = await app.server.prisma.webhookEndpoint.findUniqueOrThrow({
      where: { id: endpointId },
    });
    await app.server.prisma.webhookDelivery.create({
      data: {
        id: `wh_left`,
        projectId,
        endpointId,
        url: '',
        eventId: 'evt_left',
        eventType: payload.type,
        subjectId: 'resp_x',
        payload,
        nextAttemptAt: new Date(Date.now() - 60_000),
      },
    });
    const [call] = await app.receiver.called(path);
    expect(JSON.parse(call!.body)).toEqual(payload);
    await app.settled('subject_id=resp_x', 'delivered');
    const service = app.server.app.get(DeliveriesService);
    await Promise.all([service.deliver(`wh_left`), service.takeUpForgotten(0)]);
    expect(app.receiver.at(path)).toHaveLength(1);
  });

  it('is sent once, whoever asks for it at the same time', async () => {
    const { path } = await app.listen();
    app.receiver.script(path, { status: 500 });
    const { id } = await app.respond();
    await app.receiver.called(path);
    const [row] = await eventually(
      async () => app.deliveries(`subject_id=${id}`),
      ([first]) => first?.['last_status_code'] === 500,
    );
    const service = app.server.app.get(DeliveriesService);
    await app.server.prisma.webhookDelivery.update({
      where: { id: row!.id },
      data: { nextAttemptAt: new Date() },
    });
    await Promise.all(Array.from({ length: 8 }, () => service.deliver(row!.id)));
    await app.settled(`subject_id=${id}`, 'delivered');
    expect(app.receiver.at(path)).toHaveLength(2);
  });
});

it('counts what it sent', async () => {
  const { text } = await app.server.admin('GET', '/metrics');
  expect(text).toMatch(/webhook_deliveries_total\{status="delivered"\} [1-9]/);
  expect(text).toMatch(/webhook_deliveries_total\{status="failed"\} [1-9]/);
  expect(text).toMatch(/webhook_attempt_duration_seconds_count\{outcome="unreachable"\} [1-9]/);
});

it('sends what the job of a dead process still seems to send', async () => {
  const own = await startAdminApp({ WEBHOOK_TIMEOUT_MS: '30000' });
  try {
    const { key } = await own.project();
    const [slow, stuck] = [app.path(), app.path()];
    app.receiver.script(slow, 'silent');
    const register = async (path: string, type: string) =>
      (
        await own.ask(key, 'POST', '/v1/webhook_endpoints', {
          url: app.receiver.url(path),
          event_types: [type],
        })
      ).body.id;
    const insert = async (id: string, path: string) => {
      const endpointId = await register(path, 'container.expired');
      const { projectId } = await own.prisma.webhookEndpoint.findUniqueOrThrow({ where: { id: endpointId } });
      const event = { eventId: 'evt_x', eventType: 'container.expired', subjectId: 'cntr_x', payload: {} };
      const nextAttemptAt = new Date(Date.now() - 1_000);
      await own.prisma.webhookDelivery.create({
        data: { id, projectId, endpointId, url: '', ...event, nextAttemptAt },
      });
    };
    await insert('wh_slow', slow);
    // A job under the other one's id is active for thirty seconds, as one of a killed process is.
    await own.app
      .get(JobScheduler)
      .add(QUEUES.webhooks, DELIVER, { deliveryId: 'wh_slow' }, { jobId: 'wh_stuck-new' });
    await app.receiver.called(slow);
    await insert('wh_stuck', stuck);
    expect(await app.receiver.called(stuck, 1, 20_000)).toHaveLength(1);
  } finally {
    app.receiver.release();
    await own.stop();
  }
});
