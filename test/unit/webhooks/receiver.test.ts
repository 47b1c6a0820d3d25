/** The fake receiver itself: a test that relies on it relies on this. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebhookReceiver } from '../../fakes/webhook-receiver/receiver.js';

const receiver = new WebhookReceiver();
beforeAll(() => receiver.start());
afterAll(() => receiver.stop());

const post = (path: string, body = 'x', signal = AbortSignal.timeout(5_000)) =>
  fetch(receiver.url(path), { method: 'POST', body, signal, redirect: 'manual', headers: { 'x-a': 'b' } });

describe('the receiver', () => {
  it('writes down what it gets, and takes it', async () => {
    expect((await post('/plain', 'ü')).status).toBe(200);
    expect(receiver.at('/plain')).toMatchObject([{ path: '/plain', body: 'ü', headers: { 'x-a': 'b' } }]);
  });

  it('plays a script for each path, then takes everything', async () => {
    receiver.script('/s', { status: 500, body: 'broken' }, { status: 302, headers: { location: '/t' } });
    const replies = [await post('/s'), await post('/s'), await post('/s')];
    expect(replies.map(({ status }) => status)).toEqual([500, 302, 200]);
    expect(await replies[0]!.text()).toBe('broken');
    expect(replies[1]!.headers.get('location')).toBe('/t');
    expect(receiver.at('/t')).toEqual([]);
  });

  it('waits for calls', async () => {
    const both = receiver.called('/w', 2);
    await post('/w');
    await post('/w');
    expect(await both).toHaveLength(2);
    await expect(receiver.called('/never', 1, 10)).rejects.toThrow('0 times');
  });

  it('is silent until it is released', async () => {
    receiver.script('/silent', 'silent', 'silent');
    const first = post('/silent');
    await receiver.called('/silent');
    receiver.release(201);
    expect((await first).status).toBe(201);
    await expect(post('/silent', 'x', AbortSignal.timeout(50))).rejects.toThrow();
  });

  it('hangs up, stalls and floods', async () => {
    receiver.script('/bad', 'hang-up', 'stall', 'flood');
    await expect(post('/bad')).rejects.toThrow();
    const stalled = await post('/bad', 'x', AbortSignal.timeout(100));
    expect(stalled.status).toBe(200);
    await expect(stalled.text()).rejects.toThrow();
    const reader = (await post('/bad')).body!.getReader();
    let bytes = 0;
    while (bytes < 1024 * 1024) bytes += (await reader.read()).value!.length;
    await reader.cancel();
    expect(receiver.flooded).toBeGreaterThanOrEqual(bytes);
  });

  it('counts how many call at once', async () => {
    receiver.script('/many', 'silent', 'silent', 'silent');
    const all = [post('/many'), post('/many'), post('/many')];
    await receiver.called('/many', 3);
    receiver.release();
    await Promise.all(all);
    expect(receiver.mostAtOnce).toBeGreaterThanOrEqual(3);
  });
});
