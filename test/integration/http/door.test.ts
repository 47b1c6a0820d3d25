/** What is asked on the headers alone: keys that change, rates, drains; and the question that costs nothing. */
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ApiKeyRepository } from '../../../orchestrator/src/auth/api-key.repository.js';
import { hashSecret } from '../../../orchestrator/src/auth/secrets.js';
import { head, parseReply, RawConnection } from '../../support/raw-http.js';
import { type AdminApp, FIRST_KEY, startAdminApp } from '../admin/admin-app.js';

let server: AdminApp;
let origin: string;
beforeAll(async () => {
  server = await startAdminApp({ SANDBOX_POOL: '' });
  await server.app.listen(0, '127.0.0.1');
  origin = `http://127.0.0.1:${(server.app.getHttpServer().address() as AddressInfo).port}`;
});
afterAll(() => server?.stop());

/** Sends the head of a large upload and nothing else. */
async function announce(key: string, path = '/v1/responses') {
  const connection = await RawConnection.open(origin);
  const headers = { 'content-type': 'application/json', 'content-length': 30_000_000 };
  connection.send(head(`POST ${path} HTTP/1.1`, headers, key));
  const text = await connection.until((seen) => seen.endsWith('}'));
  connection.close();
  return parseReply(text);
}

describe('before the body', () => {
  it('a key that is over its rate is refused', async () => {
    const { id, key } = await server.project();
    await server.admin('POST', `/admin/v1/projects/${id}`, { requests_per_minute: 1 });
    expect((await server.ask(key, 'GET', '/v1/models')).status).toBe(200);
    const { status, headers, body } = await announce(key);
    expect([status, headers['x-ratelimit-remaining-requests']]).toEqual([429, '0']);
    expect(body).toContain('rate_limit_exceeded');
  });

  it('new work is refused while the server drains', async () => {
    await server.admin('POST', '/admin/v1/drain');
    try {
      expect(await announce(FIRST_KEY)).toMatchObject({
        status: 503,
        body: expect.stringContaining('draining'),
      });
    } finally {
      await server.admin('POST', '/admin/v1/resume');
    }
  });

  it('a revoked key is refused at once', async () => {
    const { id, key } = await server.project();
    expect((await server.ask(key, 'GET', '/v1/models')).status).toBe(200);
    const { data } = (await server.admin('GET', `/admin/v1/projects/${id}/api_keys`)).body;
    await server.admin('DELETE', `/admin/v1/projects/${id}/api_keys/${data[0]!.id}`);
    expect((await announce(key)).status).toBe(401);
  });
});

describe('the configured key', () => {
  it('is revoked by the one that is configured after it; others are not', async () => {
    const keys = server.app.get(ApiKeyRepository);
    const { id, key: made } = await server.project();
    const configure = (secret: string) =>
      keys.ensureDefault(
        { id: 'proj_default', name: 'Default project' },
        { id: `key_${secret}`, name: 'First key', hash: hashSecret(secret), hint: '' },
      );
    const active = async (...secrets: string[]) => (await keys.findActive(secrets.map(hashSecret))).size;
    await configure('sk-leaked');
    expect(await active('sk-leaked')).toBe(1);
    expect((await configure('sk-new')).revokedAt).toBeNull();
    expect([await active('sk-leaked'), await active('sk-new'), await active(made)]).toEqual([0, 1, 1]);
    expect((await configure('sk-leaked')).revokedAt).toBeInstanceOf(Date);
    expect(await active('sk-leaked')).toBe(0);
    expect(id).toMatch(/^proj_/);
  });
});

describe('/health/ready', () => {
  it('looks once for all who ask at the same time', async () => {
    const check = server.driver.check.bind(server.driver);
    let looks = 0;
    server.driver.check = () => {
      looks += 1;
      return check();
    };
    try {
      const replies = await Promise.all(
        Array.from({ length: 50 }, () => server.ask(undefined, 'GET', '/health/ready')),
      );
      expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
      expect(looks).toBeLessThanOrEqual(2);
    } finally {
      server.driver.check = check;
    }
  });
});

describe('/metrics', () => {
  it('tells how the process and its connections are', async () => {
    const { text } = await server.admin('GET', '/metrics');
    for (const line of [
      'event_loop_delay_seconds{quantile="0.99"} ',
      'event_loop_delay_seconds{quantile="1"} ',
      'memory_bytes{kind="resident"} ',
      'connections_open ',
      'connections_cut_total{reason="body_stalled"} ',
      'json_bodies_bytes 0',
    ])
      expect(text).toContain(`\ncode_interpreter_${line}`);
  });
});
