/** What a key may do in a minute and at a time, over HTTP. */
import type { AddressInfo } from 'node:net';
import OpenAI, { RateLimitError } from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RunSlots } from '../../../orchestrator/src/limits/run-slots.js';
import { BackgroundService } from '../../../orchestrator/src/responses/background/background.service.js';
import { eventually } from '../../support/api.js';
import { type AdminApp, startAdminApp } from '../admin/admin-app.js';

const TOOLS = [{ type: 'code_interpreter', container: { type: 'auto' } }];

let server: AdminApp;
let origin: string;
beforeAll(async () => {
  server = await startAdminApp();
  await server.app.listen(0, '127.0.0.1');
  origin = `http://127.0.0.1:${(server.app.getHttpServer().address() as AddressInfo).port}`;
});
afterAll(() => server?.stop());

interface Project {
  readonly id: string;
  readonly key: string;
  readonly client: OpenAI;
  request(path: string, body?: unknown, signal?: AbortSignal): Promise<Response>;
}

async function project(limits: object): Promise<Project> {
  const { id, key } = await server.project();
  const { status, text } = await server.admin('POST', `/admin/v1/projects/${id}`, limits);
  if (status !== 200) throw new Error(text);
  return {
    id,
    key,
    client: new OpenAI({ apiKey: key, baseURL: `${origin}/v1`, maxRetries: 0 }),
    request: (path, body, signal) =>
      fetch(`${origin}/v1${path}`, {
        method: body === undefined ? 'GET' : 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal === undefined ? {} : { signal }),
      }),
  };
}

const program = (input: string, fields: object = {}) => ({ model: 'python', input, tools: TOOLS, ...fields });
const keyIdOf = async (id: string) =>
  (await server.prisma.apiKey.findFirstOrThrow({ where: { projectId: id } })).id;
const running = async ({ id }: Project) => server.app.get(RunSlots).count(await keyIdOf(id));
const untilRunning = async (of: Project, count: number) =>
  expect(
    await eventually(
      () => running(of),
      (now) => now === count,
    ),
  ).toBe(count);

describe('requests per minute', () => {
  it('are told in headers, and refused when they are used up', async () => {
    const { client, request } = await project({ requests_per_minute: 3 });
    const replies = [await request('/models'), await request('/files/file-x'), await request('/models')];
    expect(replies.map(({ status }) => status)).toEqual([200, 404, 200]);
    expect(replies.map(({ headers }) => headers.get('x-ratelimit-remaining-requests'))).toEqual([
      '2',
      '1',
      '0',
    ]);
    expect(replies[0]!.headers.get('x-ratelimit-limit-requests')).toBe('3');
    expect(replies[0]!.headers.get('x-ratelimit-reset-requests')).toMatch(/^(20|19\.\d+)s$/);
    const error = (await client.models.list().catch((caught: unknown) => caught)) as RateLimitError;
    expect(error).toBeInstanceOf(RateLimitError);
    expect([error.code, error.type, error.param]).toEqual(['rate_limit_exceeded', 'rate_limit_error', null]);
    expect(Number(error.headers.get('retry-after'))).toBeGreaterThanOrEqual(19);
    expect(Number(error.headers.get('retry-after'))).toBeLessThanOrEqual(20);
    expect(Number(error.headers.get('retry-after-ms'))).toBeLessThanOrEqual(20_000);
    expect(error.headers.get('x-should-retry')).toBeNull();
  });

  it('come back in time for the client that waits as it is told', async () => {
    const { key } = await project({ requests_per_minute: 60 });
    const client = new OpenAI({ apiKey: key, baseURL: `${origin}/v1`, maxRetries: 2 });
    await Promise.all(Array.from({ length: 60 }, () => client.models.list()));
    expect((await client.models.list()).data.length).toBeGreaterThan(0);
  });

  it('are on streams as well, and exposed to browsers', async () => {
    const { request } = await project({ requests_per_minute: 5 });
    const reply = await request('/responses', program('print:1', { stream: true }));
    expect(reply.headers.get('x-ratelimit-remaining-requests')).toBe('4');
    await reply.text();
    const { headers } = await fetch(`${origin}/v1/models`, { headers: { origin: 'https://a.example' } });
    expect(headers.get('access-control-expose-headers')).toContain('x-ratelimit-remaining-requests');
  });

  it('are changed by the operator at once, and do not count for health and administration', async () => {
    const { id, request } = await project({ requests_per_minute: 1 });
    expect([(await request('/models')).status, (await request('/models')).status]).toEqual([200, 429]);
    const changed = await server.admin('POST', `/admin/v1/projects/${id}`, { requests_per_minute: 0 });
    expect(changed.body).toMatchObject({ requests_per_minute: 0, concurrent_runs: null });
    const reply = await request('/models');
    expect([reply.status, reply.headers.get('x-ratelimit-limit-requests')]).toEqual([200, null]);
    const back = await server.admin('POST', `/admin/v1/projects/${id}`, { requests_per_minute: null });
    expect(back.body).toMatchObject({ requests_per_minute: null });
    expect((await request('/models')).headers.get('x-ratelimit-limit-requests')).toBe('60000');
    expect((await fetch(`${origin}/health/live`)).headers.get('x-ratelimit-limit-requests')).toBeNull();
    expect(
      (await server.admin('GET', '/admin/v1/projects')).headers['x-ratelimit-limit-requests'],
    ).toBeUndefined();
  });

  it.each([-1, 1.5, '5', 2e9])('cannot be %s', async (requests_per_minute) => {
    const { status, body } = await server.admin('POST', '/admin/v1/projects', {
      name: 'x',
      requests_per_minute,
    });
    expect([status, body.error.param]).toEqual([400, 'requests_per_minute']);
  });
});

describe('concurrent runs', () => {
  it('are refused above the limit, with a reason to come back, and free again when they end', async () => {
    const limited = await project({ concurrent_runs: 1 });
    const abort = new AbortController();
    const first = limited.request('/responses', program('sleep:60000'), abort.signal).catch(() => undefined);
    await untilRunning(limited, 1);
    const refused = await limited.request('/responses', program('print:1'));
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '2']);
    expect(await refused.json()).toMatchObject({ error: { code: 'rate_limit_exceeded', param: null } });
    expect((await limited.request('/models')).status).toBe(200);
    abort.abort();
    await first;
    await untilRunning(limited, 0);
    expect((await limited.request('/responses', program('print:1'))).status).toBe(200);
    await untilRunning(limited, 0);
  });

  it('count streams and executions too, until they are over', async () => {
    const limited = await project({ concurrent_runs: 1 });
    const { id } = (await (await limited.request('/containers', { name: 'x' })).json()) as { id: string };
    const stream = await limited.request('/responses', program('sleep:300', { stream: true }));
    const code = { code: 'print:1' };
    expect((await limited.request(`/containers/${id}/executions`, code)).status).toBe(429);
    await stream.text();
    await untilRunning(limited, 0);
    expect((await limited.request(`/containers/${id}/executions`, code)).status).toBe(200);
  });

  it('are given back by requests that fail', async () => {
    const limited = await project({ concurrent_runs: 1 });
    for (let turn = 0; turn < 3; turn++) {
      expect((await limited.request('/responses', { model: 'nobody', input: 'x' })).status).toBe(400);
    }
    await untilRunning(limited, 0);
  });

  it('of other keys do not matter', async () => {
    const [a, b] = [await project({ concurrent_runs: 1 }), await project({ concurrent_runs: 1 })];
    const stream = await a.request('/responses', program('sleep:500', { stream: true }));
    expect((await b.request('/responses', program('print:1'))).status).toBe(200);
    await stream.text();
  });

  it('in the background wait their turn, one after the other, in order', async () => {
    const limited = await project({ concurrent_runs: 1 });
    const ids: string[] = [];
    for (let turn = 0; turn < 4; turn++) {
      const reply = await limited.client.responses.create(
        program('sleep:150', { background: true }) as OpenAI.Responses.ResponseCreateParamsNonStreaming,
      );
      ids.push(reply.id);
    }
    let most = 0;
    const statuses = await eventually(
      async () => {
        most = Math.max(most, await running(limited));
        const rows = await server.prisma.response.findMany({
          where: { id: { in: ids } },
          orderBy: { seq: 'asc' },
        });
        return rows.map(({ status }) => status as string);
      },
      (all) => all.every((status) => status === 'completed'),
      30_000,
    );
    expect(statuses).toEqual(ids.map(() => 'completed'));
    expect(most).toBe(1);
    const executions = await server.prisma.execution.findMany({
      where: { responseId: { in: ids } },
      orderBy: { startedAt: 'asc' },
    });
    expect(executions.map(({ responseId }) => responseId)).toEqual(ids);
    for (const [index, next] of executions.slice(1).entries())
      expect(next.startedAt!.getTime()).toBeGreaterThanOrEqual(executions[index]!.endedAt!.getTime());
    await untilRunning(limited, 0);
  });

  it('in the background keep their order when their jobs do not', async () => {
    const limited = await project({ concurrent_runs: 1 });
    const release = server.app.get(RunSlots).tryTake(await keyIdOf(limited.id), 1)!;
    const ids: string[] = [];
    for (const text of ['one', 'two']) {
      const background = program(`print:${text}`, { background: true });
      ids.push(((await (await limited.request('/responses', background)).json()) as { id: string }).id);
    }
    release();
    await server.app.get(BackgroundService).run(ids[1]!);
    const executions = await eventually(
      () => server.prisma.execution.findMany({ where: { responseId: { in: ids } }, orderBy: { seq: 'asc' } }),
      ({ length }) => length === 2,
      20_000,
    );
    expect(executions.map(({ responseId }) => responseId)).toEqual(ids);
    await untilRunning(limited, 0);
  });

  it('in the background can be cancelled while they wait', async () => {
    const limited = await project({ concurrent_runs: 1 });
    const background = program('sleep:60000', { background: true });
    const create = async () =>
      ((await (await limited.request('/responses', background)).json()) as { id: string }).id;
    const first = await create();
    await untilRunning(limited, 1);
    const second = await create();
    expect((await limited.client.responses.cancel(second)).status).toBe('cancelled');
    expect((await limited.client.responses.cancel(first)).status).toBe('cancelled');
    await untilRunning(limited, 0);
  });
});
