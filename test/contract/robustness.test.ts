/** Crowds, full pools and bodies that are too large (checks 104, 105, 108). */
import { Agent, request as httpRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Api, type Page, type WireError } from '../support/api.js';
import { current, errorOf, newest } from '../support/clients.js';
import { newProject, useProject } from '../support/project.js';
import { callOf, logsOf, OUTPUTS, pythonRequest, runPython } from '../support/python-model.js';

/** Thirty sandboxes start one after the other: half a minute on an idle machine. */
const CROWD_MS = 600_000;

const project = useProject();
const emptyProject = async () => new Api(project.server.url, await newProject(project.server, 'pool'));

describe('the memory pool', () => {
  it('104: a hundred creates of 16g at once make exactly four', async () => {
    const api = await emptyProject();
    const replies = await Promise.all(
      Array.from({ length: 100 }, () =>
        api.post<{ error: WireError }>('/containers', { name: 'big', memory_limit: '16g' }),
      ),
    );
    const count = (status: number) => replies.filter((reply) => reply.status === status).length;
    expect([count(200), count(429)]).toEqual([4, 96]);
    const refused = replies.find(({ status }) => status === 429)!;
    expect(refused.headers.get('x-should-retry')).toBe('false');
    expect(refused.body.error).toMatchObject({
      type: 'rate_limit_error',
      param: 'memory_limit',
      code: expect.any(String),
    });
    expect(refused.body.error.message).toMatch(/64 ?G.*64 ?G.*16g/);
    expect((await api.ok<Page>('GET', '/containers?limit=100')).data).toHaveLength(4);
    await api.deleteContainers();
  });

  it('104: gives back what is deleted, at once', async () => {
    const api = await emptyProject();
    const id = await api.newContainer({ memory_limit: '64g' });
    await api.refused(429, 'POST', '/containers', { name: 'small' });
    await api.ok('DELETE', `/containers/${id}`);
    await api.newContainer({ memory_limit: '64g' });
    await api.deleteContainers();
  });

  it.each(current)('104: $name does not insist', async ({ connect }) => {
    const api = await emptyProject();
    const client = connect(project, { apiKey: api.key, maxRetries: 2 });
    await client.containers.create({ name: 'all', memory_limit: '64g' });
    const begin = Date.now();
    const error = await errorOf(client.containers.create({ name: 'more', memory_limit: '1g' }));
    expect(error.constructor.name).toBe('RateLimitError');
    const auto = await errorOf(runPython(client, 'print(1)'));
    expect(auto).toMatchObject({ status: 429, param: expect.stringContaining('memory_limit') });
    expect(Date.now() - begin).toBeLessThan(10_000);
    expect((await client.containers.list()).data).toHaveLength(1);
    await api.deleteContainers();
  });

  it('counts each project for itself', async () => {
    const [one, two] = [await emptyProject(), await emptyProject()];
    await one.newContainer({ memory_limit: '64g' });
    await two.newContainer({ memory_limit: '64g' });
    await Promise.all([one.deleteContainers(), two.deleteContainers()]);
  });
});

describe('a crowd', () => {
  it(
    '105: thirty requests at once do not meet',
    async () => {
      // As streams, which are kept alive however long a crowd takes on a small machine.
      const client = newest.connect(project, { timeoutMs: CROWD_MS });
      const program = (index: number) =>
        `import os\nopen('/mnt/data/own-${index}.txt', 'w').write('${index}')\nmine = ${index}\nprint(mine, os.listdir('/mnt/data'))`;
      const made = await Promise.all(
        Array.from({ length: 30 }, (_, index) =>
          client.responses
            .stream(pythonRequest(program(index), { include: OUTPUTS }) as never)
            .finalResponse(),
        ),
      );
      expect(made.map(({ status }) => status)).toEqual(made.map(() => 'completed'));
      expect(made.map(logsOf)).toEqual(made.map((_, index) => `${index} ['own-${index}.txt']\n`));
      for (const ids of [
        made.map(({ id }) => id),
        made.map((each) => callOf(each).container_id),
        made.map((each) => callOf(each).id),
      ]) {
        expect(new Set(ids).size).toBe(30);
      }
      await project.api.deleteContainers();
    },
    CROWD_MS,
  );

  it('105: executions in one container take turns', async () => {
    const id = await project.api.newContainer();
    await project.api.run(id, 'n = 0');
    await Promise.all(
      Array.from({ length: 10 }, () =>
        project.api.run(id, 'm = n\nimport time; time.sleep(0.02)\nn = m + 1'),
      ),
    );
    expect(await project.api.printed(id, 'print(n)')).toBe('10\n');
    await project.api.delete(`/containers/${id}`);
  });
});

describe('a body that is too large', () => {
  it('108: forty megabytes of JSON are refused, and the server goes on', async () => {
    const body = JSON.stringify({ model: 'python', input: 'x'.repeat(40 * 1024 * 1024) });
    const error = await project.api.refused(413, 'POST', '/responses', body);
    expect(error).toMatchObject({ type: 'invalid_request_error', code: 'request_too_large' });
    expect(await project.api.ok('GET', '/models')).toMatchObject({ object: 'list' });
  });

  it('a text of eleven million characters is too long', async () => {
    const error = await project.api.refused(400, 'POST', '/responses', {
      model: 'python',
      input: 'x'.repeat(10_485_761),
    });
    expect(error).toMatchObject({ code: 'string_above_max_length', param: 'input' });
  });

  /** Sends a body of this many bytes on a connection, and then asks for the models on the same one. */
  async function sendLarge(
    bytes: number,
    announced: boolean,
  ): Promise<{ status: number; text: string; after: number }> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const url = new URL(project.server.url);
    const head =
      '--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n--b\r\ncontent-disposition: form-data; name="file"; filename="x"\r\n\r\n';
    const tail = '\r\n--b--\r\n';
    const ask = (
      method: string,
      path: string,
      headers: Record<string, string>,
      write?: (end: (text: string) => void, push: (chunk: Buffer) => Promise<boolean>) => Promise<void>,
    ) =>
      new Promise<{ status: number; text: string }>((resolve, reject) => {
        const sent = httpRequest(
          {
            host: url.hostname,
            port: url.port,
            method,
            path,
            agent,
            headers: { authorization: `Bearer ${project.key}`, ...headers },
          },
          (reply) => {
            let text = '';
            reply.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
            reply.on('end', () => resolve({ status: reply.statusCode ?? 0, text }));
          },
        );
        sent.on('error', reject);
        if (!write) sent.end();
        else
          write(
            (text) => sent.end(text),
            (chunk) =>
              new Promise((done) =>
                sent.destroyed ? done(false) : void sent.write(chunk, () => done(true)),
              ),
          ).catch(reject);
      });
    const length = { 'content-length': String(head.length + bytes + tail.length) };
    const headers = { 'content-type': 'multipart/form-data; boundary=b', ...(announced ? length : {}) };
    const chunk = Buffer.alloc(1024 * 1024, 120);
    const reply = await ask('POST', '/v1/files', headers, async (end, push) => {
      await push(Buffer.from(head));
      for (let sent = 0; sent < bytes; sent += chunk.length) if (!(await push(chunk))) return;
      end(tail);
    });
    const after = await ask('GET', '/v1/models', {});
    agent.destroy();
    return { ...reply, after: after.status };
  }

  it.each([
    ['that says so', true],
    ['that does not', false],
  ])('108: a file beyond the limit %s is refused, and the connection stays usable', async (_, announced) => {
    const { status, text, after } = await sendLarge(40 * 1024 * 1024, announced);
    expect([status, after]).toEqual([413, 200]);
    expect((JSON.parse(text) as { error: WireError }).error).toMatchObject({
      code: 'file_too_large',
      param: 'file',
    });
    expect(await project.api.ok<Page>('GET', '/files')).toMatchObject({ data: [] });
  });

  it('an upload that breaks off leaves nothing', async () => {
    const controller = new AbortController();
    const body = new ReadableStream({
      async pull(stream) {
        stream.enqueue(
          Buffer.from('--b\r\ncontent-disposition: form-data; name="file"; filename="x"\r\n\r\nabc'),
        );
        await sleep(200);
        controller.abort();
      },
    });
    await fetch(`${project.server.url}/files`, {
      method: 'POST',
      headers: { authorization: `Bearer ${project.key}`, 'content-type': 'multipart/form-data; boundary=b' },
      body,
      duplex: 'half',
      signal: controller.signal,
    } as RequestInit).catch(() => undefined);
    expect(await project.api.ok<Page>('GET', '/files')).toMatchObject({ data: [] });
  });
});
