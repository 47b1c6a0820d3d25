/** Clients that are slow, silent, many or unknown, over sockets that no library looks after. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api, eventually, type Execution } from '../../support/api.js';
import { besides, metric } from '../../support/bystander.js';
import { newProject, showLogOnFailure } from '../../support/project.js';
import { head, parseReply, RawConnection } from '../../support/raw-http.js';
import { startServer, type TestServer } from '../../support/server.js';

const MIB = 1024 * 1024;
const LONGEST_WAIT_MS = 2_000;
/** Short, so that tests wait for cuts and not for minutes. */
const ENV = {
  SANDBOX_POOL: '',
  BODY_IDLE_MS: '1500',
  READER_IDLE_MS: '2000',
  SSE_KEEPALIVE_MS: '1000',
  EXECUTION_MAX_OUTPUT_BYTES: '64m',
};

let server: TestServer;
let api: Api;
let other: Api;
beforeAll(async () => {
  server = await startServer({ fakeSandboxes: true, name: 'connections', env: ENV });
  api = new Api(server.url, await newProject(server, 'one'));
  other = new Api(server.url, await newProject(server, 'other'));
});
afterAll(() => server?.stop());
showLogOnFailure(() => server);

const number = (line: string) => metric(server.origin, server.adminKey, line);
const cuts = (reason: string) => number(`connections_cut_total{reason="${reason}"}`);
const open = () => RawConnection.open(server.origin);
const post = (path: string, headers: Readonly<Record<string, string | number>>, key?: string) =>
  head(`POST ${path} HTTP/1.1`, headers, key);
const json = (length: number) => ({ 'content-type': 'application/json', 'content-length': length });
const errorOf = (text: string) => {
  const { status, headers, body } = parseReply(text);
  expect(headers['content-type']).toBe('application/json; charset=utf-8');
  expect(headers['x-request-id']).toMatch(/^req_/);
  const { error } = JSON.parse(body) as { error: Record<string, unknown> };
  expect(Object.keys(error).sort()).toEqual(['code', 'message', 'param', 'type']);
  return { status, ...error };
};
const staged = () => readdirSync(join(server.dataDir, 'blobs'), { recursive: true }).map(String);

describe('without a key', () => {
  it('bodies are neither waited for nor kept', async () => {
    await number('event_loop_delay_seconds{quantile="1"}');
    const before = await number('memory_bytes{kind="resident"}');
    const chunk = Buffer.alloc(MIB, 32);
    const { result, waits } = await besides(other, () =>
      Promise.all(
        Array.from({ length: 32 }, async (_, index) => {
          const connection = await open();
          connection.send(post('/v1/responses', json(32 * MIB), index % 2 ? 'sk-wrong' : undefined));
          const text = await connection.until((seen) => seen.includes('\r\n\r\n') && seen.endsWith('}'));
          for (let sent = 0; sent < 31 && !connection.isClosed; sent += 1) {
            connection.send(chunk);
            await sleep(1);
          }
          await connection.untilClosed();
          return errorOf(text);
        }),
      ),
    );
    for (const error of result) expect(error).toMatchObject({ status: 401, code: 'invalid_api_key' });
    expect(waits.failed).toBe(0);
    expect(waits.longestMs).toBeLessThan(LONGEST_WAIT_MS);
    // 512 MB were announced, and 32 of them may be in buffers of the kernel's.
    expect((await number('memory_bytes{kind="resident"}')) - before).toBeLessThan(200 * MIB);
    expect(await cuts('refused')).toBeGreaterThanOrEqual(1);
  });

  it('a small body leaves the connection usable', async () => {
    const connection = await open();
    connection.send(`${post('/v1/containers', json(12))}{"name":"x"}`);
    await connection.until((text) => text.endsWith('}'));
    connection.text = '';
    connection.send(head('GET /v1/models HTTP/1.1', {}, api.key));
    expect(await connection.until((text) => text.includes('"list"'))).toContain('HTTP/1.1 200');
    connection.close();
  });

  it.each([
    ['a path that nobody serves', '/v1/nothing', 404],
    ['a method that does not fit', '/v1/models', 405],
    ['the admin API', '/admin/v1/projects', 401],
  ])('%s is answered before the body', async (_, path, status) => {
    const connection = await open();
    connection.send(post(path, json(30 * MIB)));
    expect(errorOf(await connection.until((text) => text.endsWith('}')))).toMatchObject({ status });
    await connection.untilClosed(30_000);
  });

  it('a flood of unknown keys costs the known ones nothing', async () => {
    const { waits } = await besides(other, async () => {
      for (let round = 0; round < 20; round += 1)
        await Promise.all(
          Array.from({ length: 200 }, async (_, index) => {
            const reply = await new Api(server.url, `sk-${round}-${index}`).get('/models');
            expect(reply.status).toBe(401);
          }),
        );
    });
    expect(waits.failed).toBe(0);
    expect(waits.longestMs).toBeLessThan(LONGEST_WAIT_MS);
  });
});

describe('a body that stops', () => {
  it('is refused with 408 and cut, JSON', async () => {
    const before = await cuts('body_stalled');
    const connection = await open();
    connection.send(`${post('/v1/containers', json(100), api.key)}{"name":`);
    await connection.untilClosed();
    expect(errorOf(connection.text)).toMatchObject({ status: 408, code: 'request_timeout' });
    expect(parseReply(connection.text).headers['connection']).toBe('close');
    expect(await cuts('body_stalled')).toBe(before + 1);
  });

  it('is refused with 408 and leaves nothing, uploads', async () => {
    const files = staged();
    const connection = await open();
    const type = { 'content-type': 'multipart/form-data; boundary=b', 'content-length': 50 * MIB };
    connection.send(post('/v1/files', type, api.key));
    connection.send('--b\r\ncontent-disposition: form-data; name="file"; filename="x"\r\n\r\nhalf');
    await connection.untilClosed();
    expect(errorOf(connection.text)).toMatchObject({ status: 408, code: 'request_timeout' });
    expect(
      await eventually(
        () => Promise.resolve(staged()),
        (now) => now.length === files.length,
      ),
    ).toEqual(files);
  });

  it('costs nobody else anything, a hundred at once', async () => {
    const { waits } = await besides(other, () =>
      Promise.all(
        Array.from({ length: 100 }, async () => {
          const connection = await open();
          connection.send(`${post('/v1/responses', json(50_000), api.key)}{`);
          await connection.untilClosed();
        }),
      ),
    );
    expect(waits.failed).toBe(0);
    expect(waits.longestMs).toBeLessThan(LONGEST_WAIT_MS);
    expect(await number('json_bodies_bytes')).toBe(0);
  });

  it('is something else than one that is slow', async () => {
    const body = '{"name":"slow and steady"}';
    const connection = await open();
    connection.send(post('/v1/containers', json(body.length), api.key));
    for (const character of body) {
      connection.send(character);
      await sleep(150);
    }
    expect(await connection.until((text) => text.includes('cntr_'))).toContain('HTTP/1.1 200');
    connection.close();
  });
});

describe('a reader that stops', () => {
  it('is cut off while it streams, and the container goes on', async () => {
    const id = await api.newContainer();
    const before = await cuts('reader_stalled');
    const body = JSON.stringify({ code: 'flood:40000000', stream: true });
    const reader = await open();
    reader.socket.pause();
    reader.send(post(`/v1/containers/${id}/executions`, json(body.length), api.key) + body);
    await eventually(
      () => cuts('reader_stalled'),
      (now) => now > before,
      60_000,
    );
    expect(await cuts('reader_stalled')).toBeGreaterThan(before);
    const after = await api.ok<Execution>('POST', `/containers/${id}/executions`, {
      code: 'print:still here',
    });
    expect(after.outputs[0]?.text).toContain('still here');
    reader.close();
  });

  it('is cut off while it downloads', async () => {
    const file = await api.upload('large.bin', Buffer.alloc(64 * MIB, 1));
    const before = await cuts('reader_stalled');
    const reader = await open();
    reader.socket.pause();
    reader.send(head(`GET /v1/files/${file}/content HTTP/1.1`, {}, api.key));
    await eventually(
      () => cuts('reader_stalled'),
      (now) => now > before,
      60_000,
    );
    expect(await cuts('reader_stalled')).toBe(before + 1);
    reader.close();
  });

  it('is something else than one that is slow', async () => {
    const file = await api.upload('large.bin', Buffer.alloc(24 * MIB, 1));
    const reader = await open();
    let seen = 0;
    reader.socket.setEncoding('latin1');
    reader.socket.removeAllListeners('data');
    reader.send(head(`GET /v1/files/${file}/content HTTP/1.1`, { connection: 'close' }, api.key));
    reader.socket.on('data', (chunk: string) => {
      seen += chunk.length;
      reader.socket.pause();
      setTimeout(() => reader.socket.resume(), 8);
    });
    await reader.untilClosed(100_000);
    expect(seen).toBeGreaterThan(24 * MIB);
  });
});

describe('a stream', () => {
  const body = JSON.stringify({
    model: 'python',
    input: 'print:1',
    stream: true,
    tools: [{ type: 'code_interpreter', container: { type: 'auto' } }],
  });

  it.each([
    ['Connection: close', 'HTTP/1.1', { connection: 'close' }],
    ['HTTP/1.0', 'HTTP/1.0', {}],
  ])('closes for %s', async (_, version, headers) => {
    const request = head(`POST /v1/responses ${version}`, { ...json(body.length), ...headers }, api.key);
    const text = await RawConnection.exchange(server.origin, request + body);
    const reply = parseReply(text);
    expect(reply.status).toBe(200);
    expect(reply.headers['connection']).toBe('close');
    expect(reply.headers['openai-processing-ms']).toMatch(/^\d+$/);
    expect(reply.headers['transfer-encoding']).toBe(version === 'HTTP/1.0' ? undefined : 'chunked');
    expect(text).toContain('event: response.completed');
  });

  it('leaves the connection open for others', async () => {
    const connection = await open();
    connection.send(post('/v1/responses', json(body.length), api.key) + body);
    await connection.until((text) => text.endsWith('0\r\n\r\n'));
    expect(parseReply(connection.text).headers['connection']).not.toBe('close');
    connection.text = '';
    connection.send(head('GET /v1/models HTTP/1.1', {}, api.key));
    expect(await connection.until((text) => text.includes('"list"'))).toContain('HTTP/1.1 200');
    connection.close();
  });
});

describe('HTTP itself', () => {
  const get = (path: string, more = '') =>
    `GET ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${api.key}\r\n${more}connection: close\r\n\r\n`;

  it.each([
    ['a line that is no request', () => 'HELLO\r\n\r\n', 400, null],
    ['no host', () => 'GET /v1/models HTTP/1.1\r\nconnection: close\r\n\r\n', 400, null],
    [
      'a length that is no number',
      () => post('/v1/containers', { 'content-length': 'x' }, api.key),
      400,
      null,
    ],
    [
      'two framings',
      () => post('/v1/containers', { 'content-length': 5, 'transfer-encoding': 'chunked' }, api.key),
      400,
      null,
    ],
    ['percent signs that mean nothing', () => get('/v1/models/%ff'), 400, null],
    ['an id beyond all measure', () => get(`/v1/responses/${'a'.repeat(10_000)}`), 414, 'uri_too_long'],
    [
      'headers beyond all measure',
      () => get('/v1/models', `x: ${'a'.repeat(20_000)}\r\n`),
      431,
      'headers_too_large',
    ],
    [
      'an expectation nobody meets',
      () => get('/v1/models', 'expect: miracles\r\n'),
      417,
      'expectation_failed',
    ],
  ])('refuses %s in our envelope', async (_, text, status, code) => {
    expect(errorOf(await RawConnection.exchange(server.origin, text()))).toMatchObject({
      status,
      code,
      type: 'invalid_request_error',
    });
  });

  it('says 100 Continue when it wants the body, and not to strangers', async () => {
    const body = '{"name":"x"}';
    const connection = await open();
    connection.send(post('/v1/containers', { ...json(body.length), expect: '100-continue' }, api.key));
    await connection.until((text) => text.startsWith('HTTP/1.1 100 Continue\r\n\r\n'));
    connection.send(body);
    expect(await connection.until((text) => text.includes('cntr_'))).toContain('HTTP/1.1 200');
    connection.close();
    const stranger = await open();
    stranger.send(post('/v1/containers', { ...json(body.length), expect: '100-continue' }, 'sk-wrong'));
    expect(await stranger.until((text) => text.endsWith('}'))).toMatch(/^HTTP\/1\.1 401/);
    stranger.close();
  });

  it('answers HEAD with the length alone', async () => {
    const id = await api.newContainer();
    const { files } = await api.run(id, 'write:/mnt/data/a.txt:hello');
    for (const path of [
      `/files/${await api.upload('a.txt', 'hello')}/content`,
      `/containers/${id}/files/${files[0]!.id}/content`,
    ]) {
      const text = await RawConnection.exchange(server.origin, get(`/v1${path}`).replace('GET', 'HEAD'));
      const reply = parseReply(text);
      expect([reply.status, reply.headers['content-length'], reply.body]).toEqual([200, '5', '']);
    }
  });
});

describe('two thousand idle connections', () => {
  it('stay, and nobody notices', async () => {
    const connections: RawConnection[] = [];
    for (let batch = 0; batch < 20; batch += 1)
      connections.push(...(await Promise.all(Array.from({ length: 100 }, open))));
    const { waits } = await besides(other, () => sleep(2_000));
    expect(await number('connections_open')).toBeGreaterThanOrEqual(2_000);
    expect(connections.filter(({ isClosed }) => isClosed)).toEqual([]);
    expect(waits.failed).toBe(0);
    expect(waits.longestMs).toBeLessThan(LONGEST_WAIT_MS);
    for (const connection of connections) connection.close();
  });
});
