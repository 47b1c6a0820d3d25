import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseEnv } from '../../../orchestrator/src/config/env.js';
import { WebhookSender } from '../../../orchestrator/src/webhooks/deliveries/webhook-sender.js';
import { WebhookTargets } from '../../../orchestrator/src/webhooks/target/target.service.js';
import { WebhookReceiver } from '../../fakes/webhook-receiver/receiver.js';

const receiver = new WebhookReceiver();
beforeAll(() => receiver.start());
afterAll(() => receiver.stop());

function senderOf(variables: Record<string, string> = {}): WebhookSender {
  const env = parseEnv({ WEBHOOK_TIMEOUT_MS: '300', ...variables });
  return new WebhookSender(new WebhookTargets(env), env);
}
const sender = senderOf();
const post = (path: string, by = sender) =>
  by.post(receiver.url(path), { 'webhook-id': 'wh_1' }, '{"a":"ü"}');

describe('a try', () => {
  it('sends the body as it is, and the headers', async () => {
    receiver.script('/ok', { status: 204 });
    expect(await post('/ok')).toMatchObject({ kind: 'delivered', status: 204, error: null, answer: '' });
    const [call] = receiver.at('/ok');
    expect(call!.body).toBe('{"a":"ü"}');
    expect(call!.headers).toMatchObject({
      'webhook-id': 'wh_1',
      'content-type': 'application/json',
      'content-length': '10',
      'user-agent': expect.stringContaining('code-interpreter') as string,
    });
  });

  it('does not follow redirects', async () => {
    receiver.script('/moved', { status: 307, headers: { location: receiver.url('/secret') } });
    expect(await post('/moved')).toMatchObject({ kind: 'refused', status: 307 });
    expect(receiver.at('/secret')).toEqual([]);
  });

  it('keeps the beginning of the answer, whatever is in it', async () => {
    receiver.script('/long', { status: 500, body: `\0broken ${'y'.repeat(5000)}` });
    const { kind, answer, error } = await post('/long');
    expect([kind, error]).toEqual(['refused', 'The receiver answered 500.']);
    expect(answer).toMatch(/^broken y+$/);
    expect(answer).toHaveLength(1023);
  });

  it('is over when the status is known, however much follows', async () => {
    const before = receiver.flooded;
    receiver.script('/flood', 'flood');
    expect(await post('/flood')).toMatchObject({ kind: 'delivered', status: 200 });
    expect(receiver.flooded - before).toBeLessThan(32 * 1024 * 1024);
    receiver.script('/stall', 'stall');
    expect(await post('/stall')).toMatchObject({ kind: 'delivered', status: 200, answer: 'beginning' });
  });

  it('does not wait for ever', async () => {
    receiver.script('/silent', 'silent');
    const outcome = await post('/silent');
    expect(outcome).toMatchObject({ kind: 'unreachable', status: null, error: 'No answer within 300 ms.' });
    expect(outcome.durationMs).toBeGreaterThanOrEqual(290);
    expect(outcome.durationMs).toBeLessThan(5_000);
  });

  it('tells of a connection that fails', async () => {
    receiver.script('/hang-up', 'hang-up');
    expect(await post('/hang-up')).toMatchObject({ kind: 'unreachable', error: 'socket hang up' });
    expect(await sender.post('http://127.0.0.1:1/', {}, '')).toMatchObject({
      kind: 'unreachable',
      error: expect.stringContaining('ECONNREFUSED') as string,
    });
    expect(await sender.post('http://localhost:1/', {}, '')).toMatchObject({
      kind: 'unreachable',
      error: expect.stringContaining('ECONNREFUSED') as string,
    });
    expect(await sender.post('http://absent.invalid/', {}, '')).toMatchObject({ kind: 'unreachable' });
  });

  it('does not reach what must not be called, by name or by address', async () => {
    const closed = senderOf({ HOST: '0.0.0.0' });
    const urls = ['127.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]', '2130706433'].map(
      (host) => `http://${host}:${receiver.port}/forbidden`,
    );
    const outcomes = await Promise.all(urls.map((url) => closed.post(url, {}, '')));
    expect(outcomes.map(({ kind }) => kind)).toEqual(urls.map(() => 'forbidden'));
    expect(receiver.at('/forbidden')).toEqual([]);
    expect(outcomes[1]!.error).toContain('localhost');
  });
});
