import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { RetentionService } from '../../../orchestrator/src/retention/retention.service.js';
import { type AdminApp, FIRST_KEY, startAdminApp } from './admin-app.js';

const DAY_MS = 86_400_000;
const PROJECT = 'proj_default';

let server: AdminApp;
let retention: RetentionService;
beforeAll(async () => {
  server = await startAdminApp({ CONTAINER_TOMBSTONE_DAYS: '10', RESPONSE_RETENTION_DAYS: '30' });
  retention = server.app.get(RetentionService);
});
afterAll(() => server?.stop());

const now = new Date('2031-06-15T12:00:00Z');
const ago = (days: number): Date => new Date(now.getTime() - days * DAY_MS);
let count = 0;
const next = (prefix: string): string => `${prefix}_retention_${(count += 1)}`;

async function addContainer(
  status: 'running' | 'expired' | 'deleted',
  endedAt: Date | null,
  files = 1,
): Promise<string> {
  const id = next('cntr');
  const base = { projectId: PROJECT, bytes: 1n, blobSha256: await addBlob() };
  await server.prisma.container.create({
    data: {
      id,
      projectId: PROJECT,
      name: id,
      status,
      memoryLimit: '1g',
      memoryBytes: 1n,
      idleMinutes: 20,
      networkPolicy: {},
      endedAt,
      files: {
        create: Array.from({ length: files }, (_, index) => ({
          ...base,
          id: next('cfile'),
          path: `/mnt/data/${index}`,
          source: 'assistant' as const,
        })),
      },
    },
  });
  return id;
}

async function addBlob(): Promise<string> {
  const sha256 = createHash('sha256').update(next('blob')).digest('hex');
  await server.prisma.blob.create({ data: { sha256, bytes: 1n } });
  return sha256;
}

async function addExecution(
  containerId: string,
  createdAt: Date,
  status: 'completed' | 'running' = 'completed',
) {
  const id = next('exec');
  await server.prisma.execution.create({
    data: {
      id,
      containerId,
      projectId: PROJECT,
      code: 'print:1',
      outputs: [{ type: 'stdout', text: '1' }],
      status,
      timeoutMs: 1,
      durationMs: 7,
      createdAt,
    },
  });
  return id;
}

async function addResponse(
  createdAt: Date,
  fields: { status?: 'completed' | 'in_progress'; deletedAt?: Date; completedAt?: Date } = {},
): Promise<string> {
  const id = next('resp');
  await server.prisma.response.create({
    data: {
      id,
      projectId: PROJECT,
      status: 'completed',
      model: 'x',
      background: true,
      request: { instructions: 'private' },
      body: { usage: { input_tokens: 1, output_tokens: 2, total_tokens: 3 }, metadata: { a: 'private' } },
      createdAt,
      items: { create: [{ id: next('msg'), projectId: PROJECT, kind: 'output', position: 0, item: {} }] },
      events: { create: [{ sequenceNumber: 0, event: {} }] },
      ...fields,
    },
  });
  return id;
}

const files = (containerId: string) => server.prisma.containerFile.count({ where: { containerId } });
const exists = async (found: Promise<object | null>): Promise<boolean> => (await found) !== null;
const response = (id: string) => exists(server.prisma.response.findUnique({ where: { id } }));
const execution = (id: string) => exists(server.prisma.execution.findUnique({ where: { id } }));
const container = (id: string) => exists(server.prisma.container.findUnique({ where: { id } }));

beforeEach(async () => {
  await server.prisma.container.deleteMany();
  await server.prisma.response.deleteMany();
});

describe('responses', () => {
  it('go after their days with items and events; running ones stay', async () => {
    const [old, young] = [await addResponse(ago(31)), await addResponse(ago(29))];
    const running = await addResponse(ago(31), { status: 'in_progress' });
    expect(await retention.forgetResponses(now)).toBe(1);
    expect([await response(old), await response(young), await response(running)]).toEqual([
      false,
      true,
      true,
    ]);
    expect(await server.prisma.responseItem.count({ where: { responseId: old } })).toBe(0);
    expect(await retention.forgetResponses(now)).toBe(0);
  });

  it('that were deleted lose their content at once, and keep their token counts', async () => {
    const id = await addResponse(ago(1), { deletedAt: ago(0.5) });
    expect(await retention.forgetResponses(now)).toBe(1);
    const row = await server.prisma.response.findUniqueOrThrow({ where: { id }, include: { items: true } });
    expect([row.request, row.body, row.items]).toEqual([
      {},
      { usage: { input_tokens: 1, output_tokens: 2, total_tokens: 3 } },
      [],
    ]);
    expect(await retention.forgetResponses(now)).toBe(0);
  });

  it('go in batches, however many they are', async () => {
    await server.prisma.response.createMany({
      data: Array.from({ length: 450 }, () => ({
        id: next('resp'),
        projectId: PROJECT,
        status: 'completed' as const,
        model: 'x',
        request: {},
        body: {},
        createdAt: ago(40),
      })),
    });
    expect(await retention.forgetResponses(now)).toBe(450);
  });

  it('lose their events an hour after the end', async () => {
    const ended = (minutes: number) => new Date(now.getTime() - minutes * 60_000);
    const old = await addResponse(ended(120), { completedAt: ended(61) });
    const recent = await addResponse(ended(120), { completedAt: ended(59) });
    const running = await addResponse(ended(120), { status: 'in_progress' });
    expect(await retention.forgetEvents(now)).toBe(1);
    const left = await server.prisma.responseEvent.findMany({ select: { responseId: true } });
    expect(left.map((each) => each.responseId).toSorted()).toEqual([recent, running].toSorted());
    expect(await response(old)).toBe(true);
  });
});

describe('conversations', () => {
  it('go with their items an hour after they were deleted', async () => {
    const add = async (deletedAt: Date | null) => {
      const id = next('conv');
      const items = { create: [{ id: next('msg'), item: {} }] };
      await server.prisma.conversation.create({
        data: { id, projectId: PROJECT, metadata: {}, deletedAt, items },
      });
      return id;
    };
    const [gone, recent, kept] = [await add(ago(1)), await add(ago(0.01)), await add(null)];
    expect(await retention.forgetConversations(now)).toBe(1);
    const left = await server.prisma.conversation.findMany({ select: { id: true } });
    expect(left.map((each) => each.id).toSorted()).toEqual([recent, kept].toSorted());
    expect(await server.prisma.conversationItem.count({ where: { conversationId: gone } })).toBe(0);
  });
});

describe('containers', () => {
  it('that were deleted keep no files and no code', async () => {
    const [deleted, expired] = [await addContainer('deleted', ago(0)), await addContainer('expired', ago(0))];
    const [gone, kept] = [await addExecution(deleted, ago(0)), await addExecution(expired, ago(0))];
    expect(await retention.forgetContainerFiles()).toBe(1);
    expect(await retention.forgetExecutions(now)).toBe(1);
    expect([await files(deleted), await files(expired)]).toEqual([0, 1]);
    const row = await server.prisma.execution.findUniqueOrThrow({ where: { id: gone } });
    expect([row.code, row.outputs, row.durationMs]).toEqual(['', [], 7]);
    expect((await server.prisma.execution.findUniqueOrThrow({ where: { id: kept } })).code).toBe('print:1');
  });

  it('that ended keep no files that code had removed', async () => {
    const [running, expired] = [
      await addContainer('running', null, 2),
      await addContainer('expired', ago(1), 2),
    ];
    await server.prisma.containerFile.updateMany({
      where: { path: '/mnt/data/0' },
      data: { deletedAt: ago(1) },
    });
    expect(await retention.forgetContainerFiles()).toBe(1);
    expect([await files(running), await files(expired)]).toEqual([2, 1]);
  });

  it('outlive the responses that may cite their files', async () => {
    const [young, old] = [await addContainer('expired', ago(29)), await addContainer('expired', ago(31))];
    const [deleted, running] = [await addContainer('deleted', ago(31)), await addContainer('running', null)];
    const [oldRun, youngRun] = [await addExecution(running, ago(31)), await addExecution(running, ago(29))];
    const busy = await addExecution(running, ago(31), 'running');
    expect(await retention.forgetExecutions(now)).toBe(1);
    expect(await retention.forgetContainers(now)).toBe(2);
    expect(await Promise.all([young, old, deleted, running].map(container))).toEqual([
      true,
      false,
      false,
      true,
    ]);
    expect(await Promise.all([oldRun, youngRun, busy].map(execution))).toEqual([false, true, true]);
  });
});

describe('files and uploads', () => {
  it('go when they have expired', async () => {
    const blobSha256 = await addBlob();
    const base = { projectId: PROJECT, filename: 'a', purpose: 'user_data', bytes: 1n };
    const file = (expiresAt: Date | null) => ({ ...base, id: next('file'), blobSha256, expiresAt });
    await server.prisma.file.createMany({ data: [file(ago(1)), file(ago(-1)), file(null)] });
    expect(await retention.forgetFiles(now)).toBe(1);
    const upload = { ...base, mimeType: 'text/plain' };
    const pending = { ...upload, id: next('upload'), expiresAt: ago(1) };
    const ended = {
      ...upload,
      id: next('upload'),
      expiresAt: ago(11),
      createdAt: ago(11),
      status: 'completed' as const,
    };
    await server.prisma.upload.createMany({ data: [{ ...pending, createdAt: ago(1) }, ended] });
    expect(await retention.forgetUploads(now)).toBe(2);
    expect(await server.prisma.upload.findMany({ select: { id: true, status: true } })).toEqual([
      { id: pending.id, status: 'expired' },
    ]);
    await server.prisma.file.deleteMany();
    await server.prisma.upload.deleteMany();
  });

  it('leave no content behind that nobody refers to, from the moment of the delete', async () => {
    const made = await server.ask(FIRST_KEY, 'POST', '/v1/containers', { name: 'a' });
    await server.ask(FIRST_KEY, 'POST', `/v1/containers/${made.body.id}/executions`, {
      code: 'write:/mnt/data/a.txt:garbage',
    });
    const sha256 = createHash('sha256').update('garbage').digest('hex');
    const known = () => exists(server.prisma.blob.findUnique({ where: { sha256 } }));
    expect(await known()).toBe(true);
    await server.ask(FIRST_KEY, 'DELETE', `/v1/containers/${made.body.id}`);
    await vi.waitFor(async () => expect(await known()).toBe(false), 10_000);
  });
});

describe('RESPONSE_RETENTION_DAYS=0', () => {
  it('keeps responses, and the containers they may cite, for ever', async () => {
    const forever = await startAdminApp({ RESPONSE_RETENTION_DAYS: '0' });
    try {
      await forever.prisma.response.create({
        data: {
          id: 'resp_a',
          projectId: PROJECT,
          status: 'completed',
          model: 'x',
          request: {},
          body: {},
          createdAt: ago(4_000),
        },
      });
      const service = forever.app.get(RetentionService);
      expect(await service.forgetResponses(now)).toBe(0);
      expect(await service.forgetContainers(now)).toBe(0);
      expect(await forever.prisma.response.count()).toBe(1);
    } finally {
      await forever.stop();
    }
  });
});
