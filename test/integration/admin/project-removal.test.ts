/** A project that is deleted is gone at once; what it held goes in steps that hold nobody up, also after a restart. */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  KINDS,
  ProjectRemovalRepository,
} from '../../../orchestrator/src/retention/project-removal.repository.js';
import { ProjectRemoval } from '../../../orchestrator/src/retention/project-removal.service.js';
import { type AdminApp, startAdminApp } from './admin-app.js';

const MANY = 3_000;

let server: AdminApp;
beforeAll(async () => {
  server = await startAdminApp();
});
afterAll(() => server?.stop());
afterEach(() => {
  vi.restoreAllMocks();
});

/** A project with something in every table that names one. */
async function full(): Promise<{ id: string; key: string }> {
  const made = await server.project();
  const { id } = made;
  const sql = [
    `INSERT INTO "Blob" ("sha256", "bytes") VALUES ('b-${id}', 1)`,
    `INSERT INTO "Container" ("id", "projectId", "name", "status", "memoryLimit", "memoryBytes", "idleMinutes", "networkPolicy")
       SELECT '${id}-c' || g, '${id}', 'c', 'deleted', '1g', 1, 20, '{}' FROM generate_series(1, 30) g`,
    `INSERT INTO "ContainerFile" ("id", "containerId", "projectId", "path", "bytes", "blobSha256", "source", "updatedAt")
       SELECT '${id}-f' || g, '${id}-c' || (g % 30 + 1), '${id}', '/mnt/data/' || g, 1, 'b-${id}', 'assistant', now() FROM generate_series(1, ${MANY}) g`,
    `INSERT INTO "Execution" ("id", "containerId", "projectId", "code", "status", "timeoutMs")
       SELECT '${id}-e' || g, '${id}-c' || (g % 30 + 1), '${id}', '', 'completed', 1 FROM generate_series(1, ${MANY}) g`,
    `INSERT INTO "Response" ("id", "projectId", "status", "model", "request", "body")
       SELECT '${id}-r' || g, '${id}', 'completed', 'python', '{}', '{}' FROM generate_series(1, 600) g`,
    `INSERT INTO "ResponseItem" ("id", "responseId", "projectId", "kind", "position", "item")
       SELECT 'm' || g, '${id}-r' || (g % 600 + 1), '${id}', 'output', g, '{}' FROM generate_series(1, ${MANY}) g`,
    `INSERT INTO "ResponseEvent" ("responseId", "sequenceNumber", "event")
       SELECT '${id}-r1', g, '{}' FROM generate_series(1, ${MANY}) g`,
    `INSERT INTO "Conversation" ("id", "projectId") VALUES ('${id}-v', '${id}')`,
    `INSERT INTO "ConversationItem" ("id", "conversationId", "item")
       SELECT 'i' || g, '${id}-v', (CASE WHEN g > 600 THEN '{}' ELSE '{"content":[{"inline_content":{"sha256":"b-${id}"}}]}' END)::json FROM generate_series(1, ${MANY}) g`,
    `INSERT INTO "WebhookEndpoint" ("id", "projectId", "url", "events", "secret") VALUES ('${id}-w', '${id}', 'http://x', '{}', 's')`,
    `INSERT INTO "WebhookDelivery" ("id", "projectId", "url", "eventId", "eventType", "subjectId", "payload", "status")
       SELECT '${id}-d' || g, '${id}', 'http://x', 'e', 't', 's', '{}', 'delivered' FROM generate_series(1, 600) g`,
    `INSERT INTO "WebhookAttempt" ("deliveryId", "number", "startedAt", "durationMs") VALUES ('${id}-d1', 1, now(), 1)`,
    `INSERT INTO "Upload" ("id", "projectId", "filename", "purpose", "mimeType", "bytes", "expiresAt") VALUES ('${id}-u', '${id}', 'f', 'p', 't', 1, now())`,
    `INSERT INTO "UploadPart" ("id", "uploadId", "projectId", "bytes", "blobSha256") VALUES ('${id}-p', '${id}-u', '${id}', 1, 'b-${id}')`,
    `INSERT INTO "File" ("id", "projectId", "filename", "purpose", "bytes", "blobSha256") VALUES ('${id}-x', '${id}', 'f', 'p', 1, 'b-${id}')`,
    `INSERT INTO "FileLink" ("id", "projectId", "fileId", "tokenHash", "expiresAt") VALUES ('${id}-l', '${id}', '${id}-x', '${id}-h', now())`,
    `INSERT INTO "IdempotencyKey" ("id", "projectId", "owner", "leaseUntil") VALUES ('${id}-k', '${id}', 'o', now())`,
  ];
  for (const statement of sql) await server.prisma.$executeRawUnsafe(statement);
  return made;
}

/** Tables that still hold something of it. */
async function left(id: string): Promise<string[]> {
  const found: string[] = [];
  for (const { table, from } of KINDS) {
    const rows = await server.prisma.$queryRawUnsafe<unknown[]>(`SELECT 1 FROM ${from} LIMIT 1`, id);
    if (rows.length > 0) found.push(table);
  }
  const project = await server.prisma.project.count({ where: { id } });
  return project === 0 ? found : [...found, 'Project'];
}

const remove = (id: string) => server.admin('DELETE', `/admin/v1/projects/${id}?force=true`);

describe('a deleted project', () => {
  it('goes with all that it holds, in steps of at most 500 rows', async () => {
    const { id } = await full();
    expect(await left(id)).toHaveLength(KINDS.length + 1);
    const counts: number[] = [];
    const { removeRows } = ProjectRemovalRepository.prototype;
    vi.spyOn(ProjectRemovalRepository.prototype, 'removeRows').mockImplementation(async function (
      this: ProjectRemovalRepository,
      ...call
    ) {
      const count = await removeRows.apply(this, call);
      counts.push(count);
      return count;
    });
    const final = vi.spyOn(ProjectRemovalRepository.prototype, 'remove');
    const reply = await remove(id);
    expect([reply.status, reply.body['deleted']]).toEqual([200, true]);
    expect(await left(id)).toEqual([]);
    expect(Math.max(...counts)).toBe(500);
    expect(final).toHaveBeenCalledOnce();
    // Its content goes with it.
    await expect
      .poll(() => server.prisma.blob.count({ where: { sha256: `b-${id}` } }), { timeout: 10_000 })
      .toBe(0);
  });

  it('is gone for everybody while that goes on, and after a restart it goes on', async () => {
    const { id, key } = await full();
    const held = vi.spyOn(ProjectRemoval.prototype, 'removeMarked').mockResolvedValue(0);
    vi.spyOn(ProjectRemoval.prototype, 'begin').mockResolvedValue(false);
    const reply = await remove(id);
    expect([reply.status, reply.body.id]).toEqual([202, id]);
    expect((await server.ask(key, 'GET', '/v1/files')).status).toBe(401);
    expect((await server.admin('GET', `/admin/v1/projects/${id}`)).status).toBe(404);
    expect((await server.admin('POST', `/admin/v1/projects/${id}`, { name: 'x' })).status).toBe(404);
    expect((await server.admin('POST', `/admin/v1/projects/${id}/api_keys`, { name: 'x' })).status).toBe(404);
    expect((await remove(id)).status).toBe(404);
    const all = await server.admin('GET', '/admin/v1/projects?limit=100');
    expect(all.body.data.map((project) => project.id)).not.toContain(id);
    expect(await left(id)).toHaveLength(KINDS.length + 1);
    held.mockRestore();

    // It dies in the middle: the next one begins where it was.
    const { removeRows } = ProjectRemovalRepository.prototype;
    let calls = 0;
    const dying = vi
      .spyOn(ProjectRemovalRepository.prototype, 'removeRows')
      .mockImplementation(async function (this: ProjectRemovalRepository, ...call) {
        calls += 1;
        if (calls > 10) throw new Error('the server died');
        return removeRows.apply(this, call);
      });
    const removal = server.app.get(ProjectRemoval, { strict: false });
    await expect(removal.removeMarked()).rejects.toThrow('the server died');
    dying.mockRestore();
    expect(await removal.removeMarked()).toBe(1);
    expect(await left(id)).toEqual([]);
  });

  it('takes along every table that names a project', async () => {
    const rows = await server.prisma.$queryRaw<{ table_name: string }[]>`
      SELECT table_name FROM information_schema.columns
       WHERE table_schema = current_schema() AND column_name = 'projectId'`;
    const known = new Set(KINDS.map(({ table }) => table));
    // What it stores is counted in entries that are folded, and forgotten with their project.
    expect(rows.map((row) => row.table_name).filter((table) => !known.has(table))).toEqual(['StorageEntry']);
  });
});
