/** What callers send in confidence is in no line of the log, at its most talkative level too. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api, eventually } from '../../support/api.js';
import { newProject, showLogOnFailure } from '../../support/project.js';
import { startServer, type TestServer } from '../../support/server.js';

const TOOLS = [{ type: 'code_interpreter', container: { type: 'auto' } }];
/** Nobody listens there. */
const HOOK = 'http://127.0.0.1:9';

let server: TestServer;
let api: Api;
showLogOnFailure(() => server);
beforeAll(async () => {
  const env = { SANDBOX_POOL: '', LOG_LEVEL: 'trace', WEBHOOK_MAX_ATTEMPTS: '1' };
  server = await startServer({ fakeSandboxes: true, name: 'logs', env });
  api = new Api(server.url, await newProject(server, 'confidential'));
});
afterAll(() => server?.stop());

const log = (): string => readFileSync(server.logFile, 'utf8');

describe('the log', () => {
  it('has no key, code, output, content, name or token in it', async () => {
    const id = await api.newContainer({ name: 'secret-container-name' });
    await api.run(id, 'print:secret-output');
    await api.run(id, 'raise:secret-error');
    await api.upload('secret-file-name.txt', 'secret-content');
    const callback = { callback_url: `${HOOK}/secret-callback-path?token=secret-callback-token` };
    await api.ok('POST', '/responses', {
      model: 'python',
      input: 'print:secret-input',
      instructions: 'secret-instructions',
      metadata: { about: 'secret-metadata' },
      tools: TOOLS,
      ...callback,
    });
    const hook = await api.ok<{ id: string; secret: string }>('POST', '/webhook_endpoints', {
      name: 'hook',
      url: `${HOOK}/hook?token=secret-hook-token`,
      event_types: ['response.completed'],
    });
    // Nobody listens there: the reply says so, and names the address.
    await api.post(`/webhook_endpoints/${hook.id}/test`);
    const [file] = (await api.ok<{ data: { id: string }[] }>('GET', '/files')).data;
    const link = await api.ok<{ url: string }>('POST', `/files/${file!.id}/links`, {});
    const token = link.url.split('/').at(-2)!;
    for (const path of ['', '/secret-file-name.txt', '/secret-a/secret-b', '?secret-query'])
      await fetch(`${server.origin}/links/${token}${path}`);
    // What is refused is told to the caller, and to nobody else.
    await api.post('/responses', '{"input": "secret-broken-json"');
    await api.post('/responses', { model: 'secret-model', input: 'x' });
    await api.post('/responses', { 'secret-field': 1 });
    await api.get('/files?after=secret-cursor');
    await new Api(server.url, 'sk-secret-wrong-key').get('/models');
    await new Api(`${server.origin}/admin/v1`, server.adminKey).get('/projects');

    const text = log();
    const secrets = [token, api.key, server.adminKey, hook.secret, 'sk-secret', 'secret-'];
    const telling = text.split('\n').filter((line) => secrets.some((secret) => line.includes(secret)));
    expect(telling).toEqual([]);
  });

  it('control: what may be told is found in it', async () => {
    await fetch(`${server.origin}/v1/models/not-a-secret`, {
      headers: { authorization: `Bearer ${api.key}` },
    });
    expect(
      await eventually(
        () => Promise.resolve(log()),
        (text) => text.includes('not-a-secret'),
      ),
    ).toContain('not-a-secret');
  });

  it('has one line for each request, and none for questions after its health', async () => {
    const admin = new Api(`${server.origin}/admin/v1`, server.adminKey);
    const [, , last] = [
      await fetch(`${server.origin}/health/live`),
      await admin.get('/pool'),
      await api.get('/files'),
    ];
    const id = last.headers.get('x-request-id')!;
    await eventually(
      () => Promise.resolve(log()),
      (text) => text.includes(id),
    );
    const completed = log()
      .split('\n')
      .filter((line) => line.includes('request completed'));
    const urls = completed.map((line) => (JSON.parse(line) as { req: { url: string } }).req.url);
    expect(urls.filter((url) => url.startsWith('/health'))).toEqual([]);
    expect(urls.filter((url) => url === '/admin/v1/pool')).toHaveLength(1);
    expect(urls.filter((url) => url === '/v1/files')).not.toEqual([]);
    const ids = completed.map((line) => (JSON.parse(line) as { req: { id: string } }).req.id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('has one JSON object in each line, whatever a caller puts into a URL', async () => {
    await fetch(`${server.origin}/v1/models/${encodeURIComponent('a\nb\u001b[31m","level":60')}`);
    const lines = log()
      .split('\n')
      .filter((line) => line.startsWith('{'));
    expect(lines.length).toBeGreaterThan(10);
    for (const line of lines) expect(() => JSON.parse(line) as unknown, line).not.toThrow();
    expect(log()).not.toContain('\u001b');
  });
});
