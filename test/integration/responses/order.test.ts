/** What comes before what: locks of conversations, claims of background responses, draining. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { JobScheduler } from '../../../orchestrator/src/queues/job-scheduler.js';
import { BackgroundService } from '../../../orchestrator/src/responses/background/background.service.js';
import { ContextService } from '../../../orchestrator/src/responses/context/context.service.js';
import { newResponse } from '../../../orchestrator/src/responses/record/new-response.js';
import { eventually } from '../../support/api.js';
import { LEASE, type ModelApp, startModelApp, TOOLS } from './model-app.js';

const PAST = new Date(0);
const MODELS = ['together', 'unstored', 'long', 'after-a-crash', 'swept', 'unknown', 'lost', 'expiring'];

let server: ModelApp;
beforeAll(async () => {
  server = await startModelApp(MODELS);
});
afterAll(() => server?.stop());

async function conversation(key: string): Promise<string> {
  return (await server.ask(key, 'POST', '/v1/conversations', {})).body.id;
}

const asked = (name: string, count: number) =>
  eventually(
    () => Promise.resolve(server.model.requestsOf(name).length),
    (length) => length >= count,
  );

const status = async (key: string, id: string) =>
  (await server.ask(key, 'GET', `/v1/responses/${id}`)).body['status'];
const until = (key: string, id: string, ...wanted: string[]) =>
  eventually(
    () => status(key, id),
    (now) => wanted.includes(now as string),
    40_000,
  );

async function begin(key: string, input: string): Promise<string> {
  const body = { model: 'python', input, tools: TOOLS, background: true };
  const reply = await server.ask(key, 'POST', '/v1/responses', body);
  expect(reply.status, reply.text).toBe(200);
  return reply.body.id;
}

describe('two responses on one conversation', () => {
  it('do not read it at the same time: it is locked before it is read', async () => {
    const { key } = await server.project();
    const id = await conversation(key);
    server.model.script('together', { text: 'first', delay_ms: 300 }, { text: 'second' });
    const first = server.respond(key, 'together', { conversation: id });
    await asked('together', 1);
    const context = server.app.get(ContextService, { strict: false });
    const gather = context.gather.bind(context);
    vi.spyOn(context, 'gather').mockImplementationOnce(async (...parameters) => {
      const gathered = await gather(...parameters);
      await first;
      return gathered;
    });
    const second = await server.respond(key, 'together', { conversation: id });
    vi.restoreAllMocks();
    expect([second.status, second.body.error?.code]).toEqual([400, 'conversation_locked']);
    expect((await first).status).toBe(200);
    expect((await server.respond(key, 'together', { conversation: id })).status).toBe(200);
  });

  it('keep each other out for as long as the first runs, also when it is not stored', async () => {
    const { key } = await server.project();
    const id = await conversation(key);
    server.model.script('unstored', { text: 'slow', chunk: 1, delay_ms: 800 }, { text: 'second' });
    const first = server.respond(key, 'unstored', { conversation: id, store: false });
    await asked('unstored', 1);
    await server.prisma.conversation.update({ where: { id }, data: { lockedUntil: PAST } });
    await sleep(LEASE * 1000);
    const second = await server.respond(key, 'unstored', { conversation: id });
    expect([second.status, second.body.error?.code]).toEqual([400, 'conversation_locked']);
    expect((await first).status).toBe(200);
    expect((await server.respond(key, 'unstored', { conversation: id })).status).toBe(200);
    const told = JSON.stringify(server.model.requestsOf('unstored').at(-1)!.body.messages);
    expect(told).toContain('slow');
  });

  it('are told of an unknown conversation before a lock, and of another project’s never', async () => {
    const [mine, other] = [await server.project(), await server.project()];
    const id = await conversation(other.key);
    const reply = await server.respond(mine.key, 'unknown', { conversation: id });
    expect([reply.status, reply.body.error.message]).toEqual([
      404,
      `Conversation with id '${id}' not found.`,
    ]);
    expect(await server.prisma.conversation.findUnique({ where: { id } })).toMatchObject({ lockedBy: null });
  });

  it('is free again when the request turns out to be wrong', async () => {
    const { key } = await server.project();
    const id = await conversation(key);
    const tools = [{ type: 'code_interpreter', container: 'cntr_nowhere' }];
    expect((await server.respond(key, 'unknown', { conversation: id, tools })).status).toBe(404);
    expect((await server.respond(key, 'no-such-model', { conversation: id })).status).toBe(400);
    expect(await server.prisma.conversation.findUnique({ where: { id } })).toMatchObject({ lockedBy: null });
  });

  it('the lock of a process that died is free after its lease, and what it ran has ended', async () => {
    const { id: projectId, key } = await server.project();
    const id = await conversation(key);
    const dead = newResponse(
      'resp_dead',
      { model: 'after-a-crash', input: 'go', conversation: id },
      new Date(),
    );
    await server.prisma.response.create({
      data: {
        id: dead.id,
        projectId,
        status: 'in_progress',
        model: dead.model,
        conversationId: id,
        request: {},
        body: dead as never,
        leaseUntil: PAST,
      },
    });
    await server.prisma.conversation.update({
      where: { id },
      data: { lockedBy: dead.id, lockedUntil: new Date(Date.now() + 1_000) },
    });
    expect(await until(key, dead.id, 'failed')).toBe('failed');
    const row = await server.prisma.response.findUniqueOrThrow({ where: { id: dead.id } });
    expect(row.completedAt).not.toBeNull();
    expect(row.body).toMatchObject({ status: 'failed', error: { code: 'server_error' } });
    server.model.script('after-a-crash', { text: 'well' });
    expect((await server.respond(key, 'after-a-crash', { conversation: id })).status).toBe(200);
  });

  it('a lock that another response took ends the run that lost it', async () => {
    const { key } = await server.project();
    const id = await conversation(key);
    server.model.script('lost', { fault: { kind: 'stall', after: 0 } });
    const first = server.respond(key, 'lost', { conversation: id });
    await asked('lost', 1);
    await server.prisma.conversation.update({ where: { id }, data: { lockedBy: 'resp_other' } });
    const { body } = await first;
    expect([body['status'], body.error?.message]).toEqual([
      'failed',
      expect.stringContaining('took over the conversation'),
    ]);
    expect(await server.prisma.conversation.findUnique({ where: { id } })).toMatchObject({
      lockedBy: 'resp_other',
    });
  });
});

describe('a background response', () => {
  it('is accepted once and runs once although its job cannot be written', async () => {
    const { key } = await server.project();
    const jobs = server.app.get(JobScheduler);
    const add = vi.spyOn(jobs, 'add').mockRejectedValueOnce(new Error('no connection'));
    const id = await begin(key, 'print:1');
    add.mockRestore();
    expect(await until(key, id, 'completed', 'failed')).toBe('completed');
    expect(await server.prisma.execution.count({ where: { responseId: id } })).toBe(1);
  });

  it('has one runner in a process, also when its lease ran out', async () => {
    const { key } = await server.project();
    const id = await begin(key, 'sleep:60000');
    await until(key, id, 'in_progress');
    await server.prisma.response.update({ where: { id }, data: { leaseUntil: PAST } });
    await Promise.race([server.app.get(BackgroundService, { strict: false }).run(id), sleep(2_000)]);
    const row = await eventually(
      () => server.prisma.response.findUniqueOrThrow({ where: { id } }),
      ({ leaseUntil }) => leaseUntil! > new Date(),
    );
    expect([row.attempt, row.leaseUntil! > new Date()]).toEqual([1, true]);
    await server.ask(key, 'POST', `/v1/responses/${id}/cancel`);
    expect(await until(key, id, 'cancelled')).toBe('cancelled');
  });

  it('stops when another attempt has taken it over, and leaves it alone', async () => {
    const { key } = await server.project();
    const id = await begin(key, 'sleep:60000');
    await until(key, id, 'in_progress');
    await eventually(
      () => server.prisma.execution.findFirst({ where: { responseId: id } }),
      (execution) => execution?.status === 'running',
    );
    const far = new Date(Date.now() + 3_600_000);
    await server.prisma.response.update({ where: { id }, data: { attempt: 7, leaseUntil: far } });
    const execution = await eventually(
      () => server.prisma.execution.findFirstOrThrow({ where: { responseId: id } }),
      (row) => row.status !== 'running',
      20_000,
    );
    expect(execution.status).toBe('interrupted');
    const row = await server.prisma.response.findUniqueOrThrow({ where: { id } });
    expect([row.status, row.attempt, row.leaseUntil]).toEqual(['in_progress', 7, far]);
    await server.prisma.response.update({ where: { id }, data: { status: 'failed' } });
  });

  it('is claimed by the database’s clock, whatever that of the process says', async () => {
    const { key } = await server.project();
    const id = await begin(key, 'sleep:60000');
    await until(key, id, 'in_progress');
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3_600_000 });
    try {
      // Old servers: the claims of a host whose clock is ahead ended everybody's runs.
      await server.app.get(BackgroundService, { strict: false }).takeUpAbandoned();
      await sleep(2 * LEASE * 1000);
    } finally {
      vi.useRealTimers();
    }
    const row = await server.prisma.response.findUniqueOrThrow({ where: { id } });
    const [{ ahead }] = await server.prisma.$queryRaw<[{ ahead: number }]>`
      SELECT extract(epoch FROM "leaseUntil" - now() AT TIME ZONE 'utc')::float8 AS ahead FROM "Response" WHERE "id" = ${id}`;
    expect(row.attempt).toBe(1);
    expect(ahead).toBeLessThan(60);
    await server.ask(key, 'POST', `/v1/responses/${id}/cancel`);
  });
});

describe('draining', () => {
  it('lets what runs end and starts nothing that waits, until work is taken again', async () => {
    const { id: project, key } = await server.project();
    await server.admin('POST', `/admin/v1/projects/${project}`, { concurrent_runs: 1 });
    const first = await begin(key, 'sleep:1500');
    await until(key, first, 'in_progress');
    const second = await begin(key, 'print:2');
    await server.admin('POST', '/admin/v1/drain');
    expect(await until(key, first, 'completed')).toBe('completed');
    const drained = await eventually(
      () => server.admin('GET', '/admin/v1/drain'),
      ({ body }) => body['running_executions'] === 0,
    );
    expect(drained.body).toMatchObject({ draining: true, running_executions: 0 });
    // Several sweeps, and the slot that the first one left.
    await sleep(2 * LEASE * 1000);
    expect(await status(key, second)).toBe('queued');
    await server.admin('POST', '/admin/v1/resume');
    expect(await until(key, second, 'completed')).toBe('completed');
  });
});

describe('a container that expires while its response runs', () => {
  it('is replaced by one with its files, and the model is told that variables are lost', async () => {
    const { key } = await server.project();
    const call = (code: string) => ({ calls: [{ name: 'python', arguments: { code } }] });
    server.model.script(
      'expiring',
      call('set:x=1\nwrite:/mnt/data/kept.txt:hello'),
      { ...call('get:x'), delay_ms: 1_500 },
      { text: 'done' },
    );
    const running = server.respond(key, 'expiring', {
      tools: TOOLS,
      include: ['code_interpreter_call.outputs'],
    });
    await asked('expiring', 2);
    await server.prisma.container.updateMany({ where: { auto: true }, data: { lastActiveAt: PAST } });
    const { body } = await running;
    expect([body['status'], body.error]).toEqual(['completed', null]);
    const output = body['output'] as { type: string; container_id?: string; outputs?: unknown }[];
    const [before, after] = output.filter(({ type }) => type === 'code_interpreter_call');
    expect(after!.container_id).not.toBe(before!.container_id);
    expect(JSON.stringify(after!.outputs)).toContain('NameError');
    const files = await server.ask(key, 'GET', `/v1/containers/${after!.container_id}/files`);
    expect(files.body.data.map((file) => file['path'])).toEqual(['/mnt/data/kept.txt']);
    const last = JSON.stringify(server.model.requestsOf('expiring').at(-1)!.body.messages);
    expect(last).toContain('replaced by a new one');
  });
});
