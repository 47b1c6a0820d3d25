/**
 * A database as a busy month leaves it. PostgreSQL itself counts the sequential scans of each large table, so
 * every statement that the server sends counts, whoever wrote it. FILL_ROWS sets the number of executions.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { SweepService } from '../../../orchestrator/src/containers/sweep.service.js';
import { BackgroundService } from '../../../orchestrator/src/responses/background/background.service.js';
import { WaitingRuns } from '../../../orchestrator/src/responses/run/waiting-runs.js';
import { RetentionService } from '../../../orchestrator/src/retention/retention.service.js';
import { eventually } from '../../support/api.js';
import { type AdminApp, FIRST_KEY, startAdminApp } from './admin-app.js';

const EXECUTIONS = Number(process.env['FILL_ROWS'] ?? 100_000);
const CONTAINERS = Math.round(EXECUTIONS / 10);
const TOOLS = [{ type: 'code_interpreter', container: { type: 'auto' } }];
const LARGE = ['Container', 'ContainerFile', 'Execution', 'Response', 'ResponseItem', 'ResponseEvent'];
const MORE = ['Conversation', 'ConversationItem', 'WebhookDelivery', 'Upload'];

let server: AdminApp;

/** Rows of the last 29 days, newest last; foreign keys are not looked at meanwhile. */
const FILL = [
  `INSERT INTO "Project" ("id", "name") SELECT 'proj_' || g, 'p' FROM generate_series(1, 50) g`,
  `INSERT INTO "Blob" ("sha256", "bytes") SELECT 'fill' || g, 1 FROM generate_series(1, 1000) g`,
  `INSERT INTO "Container" ("id", "projectId", "name", "status", "memoryLimit", "memoryBytes", "idleMinutes", "networkPolicy", "createdAt", "lastActiveAt", "endedAt", "emptied")
   SELECT 'cntr_' || g, 'proj_' || (g % 50 + 1), 'c', (CASE WHEN g % 3 = 0 THEN 'expired' ELSE 'deleted' END)::"ContainerStatus", '1g', 1, 20, '{}', t, t, t, g % 3 <> 0
     FROM (SELECT g, now() AT TIME ZONE 'utc' - make_interval(mins => (($1 - g) * 41000 / $1)::int + 90) AS t FROM generate_series(1, $1::int) g) x`,
  `INSERT INTO "ContainerFile" ("id", "containerId", "projectId", "path", "bytes", "blobSha256", "source", "updatedAt")
   SELECT 'cfile_' || g, 'cntr_' || (g % ($1 / 3) * 3 + 3), 'proj_1', '/mnt/data/' || g, 1, 'fill' || (g % 1000 + 1), 'assistant', now() FROM generate_series(1, $1::int * 2) g`,
  `INSERT INTO "Execution" ("id", "containerId", "projectId", "responseId", "code", "status", "timeoutMs", "createdAt")
   SELECT 'exec_' || g, 'cntr_' || (g / 10 + 1), 'proj_' || (g % 50 + 1), CASE WHEN g % 2 = 0 THEN 'resp_' || (g / 2) END,
          CASE WHEN (g / 10 + 1) % 3 = 0 THEN 'x' ELSE '' END, 'completed', 1, now() AT TIME ZONE 'utc' - make_interval(mins => (($1 * 10 - g) * 4100 / $1)::int + 90)
     FROM generate_series(1, $1::int * 10 - 10) g`,
  `INSERT INTO "Response" ("id", "projectId", "status", "model", "background", "request", "body", "createdAt", "eventsRemoved")
   SELECT 'resp_' || g, 'proj_' || (g % 50 + 1), 'completed', 'python', g % 2 = 0, '{}', '{}', now() AT TIME ZONE 'utc' - make_interval(mins => (($1 * 4 - g) * 10000 / $1)::int + 1), g < $1 * 3.9
     FROM generate_series(1, $1::int * 4) g`,
  `INSERT INTO "ResponseItem" ("id", "responseId", "projectId", "kind", "position", "item")
   SELECT 'msg_' || g, 'resp_' || g, 'proj_' || (g % 50 + 1), 'output', 0, '{}' FROM generate_series(1, $1::int * 4) g`,
  `INSERT INTO "ResponseEvent" ("responseId", "sequenceNumber", "event")
   SELECT 'resp_' || g, n, '{}' FROM generate_series($1::int * 4 - 999, $1::int * 4) g, generate_series(1, $1::int / 100) n`,
  `INSERT INTO "Conversation" ("id", "projectId") SELECT 'conv_' || g, 'proj_' || (g % 50 + 1) FROM generate_series(1, $1::int) g`,
  `INSERT INTO "ConversationItem" ("id", "conversationId", "item")
   SELECT 'item_' || g, 'conv_' || (g % $1 + 1), '{}' FROM generate_series(1, $1::int * 4) g`,
  `INSERT INTO "WebhookDelivery" ("id", "projectId", "url", "eventId", "eventType", "subjectId", "payload", "status")
   SELECT 'wh_' || g, 'proj_' || (g % 50 + 1), 'http://x', 'evt', 'response.completed', 'resp_' || g, '{}', 'delivered' FROM generate_series(1, $1::int) g`,
  `INSERT INTO "Upload" ("id", "projectId", "filename", "purpose", "mimeType", "bytes", "status", "expiresAt")
   SELECT 'upload_' || g, 'proj_' || (g % 50 + 1), 'f', 'assistants', 'text/plain', 1, 'completed', now() FROM generate_series(1, $1::int) g`,
];

async function fill(): Promise<void> {
  await server.prisma.$executeRawUnsafe(`SELECT set_config('synchronous_commit', 'off', false)`);
  for (const statement of FILL) {
    const text = statement
      .replaceAll('$1::int', String(CONTAINERS))
      .replaceAll('$1', `${CONTAINERS}::bigint`);
    await server.prisma.$executeRawUnsafe(text);
  }
  await server.prisma.$executeRawUnsafe('VACUUM ANALYZE');
}

/** A backend reports what it did before it leaves the list: from here on everything is counted. */
async function reported(): Promise<void> {
  await server.prisma.$disconnect();
  await eventually(
    () => server.prisma.$queryRaw<{ count: bigint }[]>`
      SELECT count(*) AS count FROM pg_stat_activity
       WHERE datname = current_database() AND application_name = 'code-interpreter' AND pid <> pg_backend_pid()`,
    ([row]) => row!.count === 0n,
  );
}

/** Sequential scans of each table so far. */
async function scans(tables: readonly string[]): Promise<Readonly<Record<string, number>>> {
  await reported();
  const rows = await server.prisma.$queryRaw<{ relname: string; seq_scan: bigint }[]>`
    SELECT relname, seq_scan FROM pg_stat_user_tables WHERE relname = ANY(${[...tables]}::text[])`;
  return Object.fromEntries(rows.map((row) => [row.relname, Number(row.seq_scan)]));
}

beforeAll(async () => {
  server = await startAdminApp();
  await fill();
}, 300_000);
afterAll(() => server?.stop());

const ask = async (method: string, path: string, body?: unknown) => {
  const reply = await server.ask(FIRST_KEY, method, `/v1${path}`, body);
  expect(reply.status, `${method} ${path}: ${reply.text}`).toBe(200);
  return reply.body;
};

async function work(): Promise<void> {
  const container = await ask('POST', '/containers', { name: 'a' });
  for (let n = 0; n < 7; n += 1) {
    await ask('POST', `/containers/${container.id}/executions`, { code: 'print:1' });
    await ask('GET', `/containers/${container.id}`);
    await ask('GET', `/containers/${container.id}/files`);
    await ask('GET', '/containers');
  }
  const conversation = await ask('POST', '/conversations', {});
  const first = await ask('POST', '/responses', {
    model: 'python',
    input: 'print:1',
    tools: TOOLS,
    conversation: conversation.id,
  });
  await ask('GET', `/responses/${first.id}`);
  await ask('GET', `/conversations/${conversation.id}/items`);
  await ask('DELETE', `/responses/${first.id}`);
  await ask('DELETE', `/containers/${container.id}`);
  const background = await ask('POST', '/responses', {
    model: 'python',
    input: 'print:1',
    tools: TOOLS,
    background: true,
  });
  await eventually(
    () => ask('GET', `/responses/${background.id}`),
    ({ status }) => status === 'completed',
  );
  // More often than a statement is planned anew, so that plans for any parameters count too.
  for (let n = 0; n < 7; n += 1) {
    await server.app.get(SweepService).sweep();
    await server.app.get(WaitingRuns).failAbandoned();
    await server.app.get(BackgroundService).takeUpAbandoned();
    await server.app.get(RetentionService).forget();
  }
}

it(
  'serves requests and jobs without reading a large table from end to end',
  { timeout: 300_000 },
  async () => {
    const before = await scans([...LARGE, ...MORE]);
    await work();
    expect(await scans([...LARGE, ...MORE])).toEqual(before);
  },
);

it('removes a project without reading a large table from end to end', { timeout: 120_000 }, async () => {
  const before = await scans([...LARGE, ...MORE]);
  const reply = await server.admin('DELETE', '/admin/v1/projects/proj_7?force=true');
  expect([200, 202]).toContain(reply.status);
  await eventually(
    () => server.prisma.project.count({ where: { id: 'proj_7' } }),
    (count) => count === 0,
    60_000,
  );
  expect(await scans([...LARGE, ...MORE])).toEqual(before);
});

it('would notice such a reading', async () => {
  const before = await scans(['Execution']);
  await server.prisma.$queryRaw`SELECT count(*) FROM "Execution" WHERE "errorName" = 'none such'`;
  expect((await scans(['Execution']))['Execution']).toBe(before['Execution']! + 1);
});

it('writes the idle clock of a container in place, without touching an index', async () => {
  const container = await ask('POST', '/containers', { name: 'hot' });
  const counters = async () => {
    await reported();
    const [row] = await server.prisma.$queryRaw<{ hot: bigint; all: bigint }[]>`
      SELECT n_tup_hot_upd AS hot, n_tup_upd AS all FROM pg_stat_user_tables WHERE relname = 'Container'`;
    return { hot: Number(row!.hot), all: Number(row!.all) };
  };
  const shareInPlace = async () => {
    const before = await counters();
    for (let n = 0; n < 100; n += 1) await ask('GET', `/containers/${container.id}`);
    const after = await counters();
    expect(after.all - before.all).toBeGreaterThanOrEqual(100);
    return (after.hot - before.hot) / (after.all - before.all);
  };
  // A full page moves one row now and then, and while somebody looks at old rows, such as the analysis of the
  // filled tables, none can be cleared away.
  await expect.poll(shareInPlace, { timeout: 50_000, interval: 1_000 }).toBeGreaterThan(0.9);
});
