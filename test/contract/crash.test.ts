/**
 * The server is killed at a bad moment and started again: nothing finished is lost, nothing answers
 * 500 (check 106). One kill meets an upload, an execution, a response and a finished execution.
 */
import { createHash, randomBytes } from 'node:crypto';
import { type ClientRequest, request as httpRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api, eventually, type Execution, type Page } from '../support/api.js';
import { showLogOnFailure } from '../support/project.js';
import { startServer, type TestServer } from '../support/server.js';

interface Made {
  readonly id: string;
  readonly output: readonly { readonly container_id: string; readonly outputs: { logs: string }[] }[];
}

const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
const START_TIMEOUT_MS = 300_000;
const TOOLS = [{ type: 'code_interpreter', container: { type: 'auto' } }];

let server: TestServer;
let api: Api;
showLogOnFailure(() => server);

beforeAll(async () => {
  server = await startServer({ name: 'crash', env: { SANDBOX_POOL: '1g=2', SWEEP_INTERVAL_MS: '2000' } });
  api = new Api(server.url, server.apiKey);
}, START_TIMEOUT_MS);
afterAll(async () => server?.stop());

const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

async function download(path: string): Promise<string> {
  const reply = await fetch(`${api.url}${path}`, { headers: { authorization: `Bearer ${api.key}` } });
  return reply.status === 200 ? sha256(new Uint8Array(await reply.arrayBuffer())) : `status ${reply.status}`;
}

const files = async (container: string) =>
  (
    await api.ok<Page<{ id: string; path: string; bytes: number }>>(
      'GET',
      `/containers/${container}/files?limit=100`,
    )
  ).data;

/** Everything a client may ask about a container answers, and none of it with a 500. */
async function looksSound(container: string): Promise<void> {
  for (const path of ['', '/files', '/executions']) {
    expect((await api.get(`/containers/${container}${path}`)).status).toBe(200);
  }
  expect(await api.ok('GET', `/containers/${container}`)).toMatchObject({ status: 'running' });
}

/** An upload that has sent some of its content and goes no further. */
function halfUpload(content: Uint8Array): ClientRequest {
  const sent = httpRequest(`${api.url}/files`, {
    method: 'POST',
    headers: { authorization: `Bearer ${api.key}`, 'content-type': 'multipart/form-data; boundary=b' },
  });
  sent.on('error', () => undefined);
  sent.write('--b\r\ncontent-disposition: form-data; name="file"; filename="half.bin"\r\n\r\n');
  sent.write(content);
  return sent;
}

async function part(upload: string, text: string): Promise<string> {
  const form = new FormData();
  form.append('data', new Blob([text]), 'part');
  return (await api.ok<{ id: string }>('POST', `/uploads/${upload}/parts`, form)).id;
}

/** Starts code and returns its execution once it runs. */
async function begin(container: string, code: string): Promise<Execution> {
  const path = `/containers/${container}/executions`;
  void api.post(path, { code }).catch(() => undefined);
  return eventually(
    async () => (await api.ok<Page<Execution>>('GET', `${path}?limit=1`)).data[0]!,
    ({ status }) => status === 'running',
    60_000,
  );
}

/** Starts a streamed response that goes on and on; returns its id once its code runs. */
async function beginResponse(previous: string): Promise<string> {
  const reply = await fetch(`${api.url}/responses`, {
    method: 'POST',
    headers: { authorization: `Bearer ${api.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'python',
      input: 'import time; time.sleep(60)',
      tools: TOOLS,
      previous_response_id: previous,
      stream: true,
    }),
  });
  const reader = reply.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  while (!text.includes('.interpreting')) text += (await reader.read()).value ?? '';
  reader.read().catch(() => undefined);
  return /"id":"(resp_[0-9a-f]+)"/.exec(text)![1]!;
}

describe('106: after SIGKILL', () => {
  const bytes = randomBytes(3 * 1024 * 1024);
  let uploaded: string;
  let upload: string;
  let firstPart: string;
  let idle: string;
  let finished: Execution;
  let busy: string;
  let running: Execution;
  let answered: Made;
  let cutOff: string;

  beforeAll(async () => {
    uploaded = await api.upload('done.bin', bytes);
    const announced = { bytes: 6, filename: 'p', mime_type: 'a/b', purpose: 'user_data' };
    upload = (await api.ok<{ id: string }>('POST', '/uploads', announced)).id;
    firstPart = await part(upload, 'abc');
    [idle, busy] = [await api.newContainer(), await api.newContainer()];
    await api.run(busy, "y = 7; open('/mnt/data/before.txt', 'w').write('before')");
    answered = await api.ok<Made>('POST', '/responses', {
      model: 'python',
      input: "z = 1; open('kept.txt', 'w').write('k')",
      tools: TOOLS,
    });
    cutOff = await beginResponse(answered.id);
    running = await begin(
      busy,
      "import time\nfor n in range(10_000):\n    open(f'/mnt/data/n{n % 20}.txt', 'w').write(str(n)); time.sleep(0.02)",
    );
    const half = halfUpload(bytes);
    await sleep(500);
    finished = await api.run(
      idle,
      "x = 41\nopen('/mnt/data/made.bin', 'wb').write(bytes(range(256)) * 4096)\nprint('made')",
    );
    await server.restart('SIGKILL');
    half.destroy();
  }, START_TIMEOUT_MS);

  it('what was uploaded is there, and half an upload is not', async () => {
    const { data } = await api.ok<Page<{ id: string }>>('GET', '/files');
    expect(data.map(({ id }) => id)).toEqual([uploaded]);
    expect(await download(`/files/${uploaded}/content`)).toBe(sha256(bytes));
  });

  it('an upload in parts goes on', async () => {
    const part_ids = [firstPart, await part(upload, 'def')];
    const done = await api.ok<{ file: { id: string } }>('POST', `/uploads/${upload}/complete`, { part_ids });
    expect((await api.get(`/files/${done.file.id}/content`)).text).toBe('abcdef');
  });

  it('a finished execution is there, with its files and its variables', async () => {
    await looksSound(idle);
    expect(await api.ok('GET', `/containers/${idle}/executions/${finished.id}`)).toEqual(finished);
    expect((await files(idle)).map(({ path, bytes: size }) => [path, size])).toEqual([
      ['/mnt/data/made.bin', 1_048_576],
    ]);
    expect(await download(`/containers/${idle}/files/${finished.files[0]!.id}/content`)).toBe(
      sha256(Buffer.concat(Array.from({ length: 4096 }, () => ALL_BYTES))),
    );
    const next = await api.run(idle, 'print(x + 1)');
    expect([next.state_lost, next.outputs.at(-1)?.text]).toEqual([false, '42\n']);
  });

  it('an execution that ran is ended, and its container goes on with what it wrote', async () => {
    await looksSound(busy);
    const ended = await api.ok<Execution>('GET', `/containers/${busy}/executions/${running.id}`);
    expect(ended.status).toMatch(/^(failed|interrupted)$/);
    const look = 'import os; print(sorted(os.listdir("/mnt/data"))[:2], globals().get("y"))';
    expect(await api.printed(busy, look)).toMatch(/\['before.txt', 'n0.txt'\] (7|None)\n$/);
    const listed = await files(busy);
    expect(listed.map(({ path }) => path)).toContain('/mnt/data/n0.txt');
    for (const { id } of listed) {
      expect(await download(`/containers/${busy}/files/${id}/content`)).toMatch(/^[0-9a-f]{64}$/);
    }
  });

  it('a response that ran is failed, and the next one goes on', async () => {
    expect(await api.ok('GET', `/responses/${answered.id}`)).toMatchObject({ status: 'completed' });
    expect(await api.ok('GET', `/responses/${cutOff}`)).toMatchObject({
      status: 'failed',
      error: { code: 'server_error' },
    });
    const next = await api.ok<Made>('POST', '/responses', {
      model: 'python',
      input: "print(open('kept.txt').read())",
      tools: TOOLS,
      include: ['code_interpreter_call.outputs'],
      previous_response_id: answered.id,
    });
    expect(next.output[0]!.container_id).toBe(answered.output[0]!.container_id);
    expect(next.output[0]!.outputs.at(-1)!.logs).toMatch(/k\n$/);
  });

  it('and with the sandboxes lost as well, files come back, and the caller is told of the variables', async () => {
    await api.run(idle, "open('/mnt/data/kept.txt', 'w').write('kept')");
    await server.kill('SIGKILL');
    await server.removeSandboxes();
    await server.start();

    await looksSound(idle);
    const next = await api.run(idle, "print(open('/mnt/data/kept.txt').read(), 'x' in globals())");
    expect(next).toMatchObject({ status: 'completed', state_lost: true });
    expect(next.outputs.at(-1)?.text).toBe('kept False\n');
    expect(next.outputs[0]).toMatchObject({ type: 'notice', code: 'state_lost' });
  });

  afterAll(() => api.deleteContainers());
});

describe('106: after SIGTERM', () => {
  it('everything that was stored is there, and code that ran did not hold it up', async () => {
    const file = await api.upload('kept.csv', 'a,b');
    const container = await api.newContainer({ name: 'kept', memory_limit: '4g', file_ids: [file] });
    const response = await api.ok<Made>('POST', '/responses', {
      model: 'python',
      input: 'v = 3; print(v)',
      tools: [{ type: 'code_interpreter', container }],
    });
    const paths = [`/files/${file}`, `/responses/${response.id}?include=code_interpreter_call.outputs`];
    const ask = () => Promise.all(paths.map((path) => api.ok('GET', path)));
    const before = await ask();
    const running = await begin(container, 'import time; time.sleep(600)');
    await server.kill('SIGTERM');
    await server.start();

    expect(await ask()).toEqual(before);
    await looksSound(container);
    expect(await api.ok('GET', `/containers/${container}`)).toMatchObject({
      name: 'kept',
      memory_limit: '4g',
    });
    expect(await files(container)).toHaveLength(1);
    const ended = await api.ok<Execution>('GET', `/containers/${container}/executions/${running.id}`);
    expect(ended.status).toMatch(/^(failed|interrupted)$/);
    expect(await api.printed(container, "print(globals().get('v', 'lost'))")).toMatch(/(3|lost)\n$/);
  });

  it('no sandbox is left that no container claims', async () => {
    await api.deleteContainers();
    await server.kill('SIGTERM');
    expect(await server.sandboxes()).toEqual([]);
  });
});
