/** A server whose own clock is wrong, or is set while it runs, ends nothing early and keeps nothing too long. */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { DatabaseClock } from '../../../orchestrator/src/database/clock.js';
import { RetentionService } from '../../../orchestrator/src/retention/retention.service.js';
import { type AdminApp, FIRST_KEY, startAdminApp } from '../admin/admin-app.js';

const HOURS_MS = 3_600_000;
const SKEWS = [-26 * HOURS_MS, 26 * HOURS_MS] as const;

let server: AdminApp;
beforeAll(async () => {
  server = await startAdminApp();
});
afterAll(() => server?.stop());
afterEach(() => {
  vi.useRealTimers();
});

const ask = (method: string, path: string, body?: object) =>
  server.ask(FIRST_KEY, method, `/v1${path}`, body);

function skew(ms: number): void {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + ms });
}

/** Seconds between a time on the wire and the database's. */
async function fromNow(seconds: unknown): Promise<number> {
  const [row] = await server.prisma.$queryRaw<{ now: number }[]>`
    SELECT extract(epoch FROM clock_timestamp())::float8 AS now`;
  return Number(seconds) - row!.now;
}

describe.each(SKEWS)('with a clock that is wrong by %i ms', (ms) => {
  it('what is made now begins and ends by the clock of the database', async () => {
    skew(ms);
    expect(Math.abs(await fromNow(server.app.get(DatabaseClock).now().getTime() / 1000))).toBeLessThan(30);
    const upload = await ask('POST', '/uploads', {
      filename: 'a',
      bytes: 1,
      purpose: 'user_data',
      mime_type: 'text/plain',
    });
    expect(Math.abs(await fromNow(upload.body['created_at']))).toBeLessThan(30);
    expect(Math.abs((await fromNow(upload.body['expires_at'])) - 3_600)).toBeLessThan(30);
    const response = await ask('POST', '/responses', { model: 'python', input: 'print:1' });
    expect(Math.abs(await fromNow(response.body['created_at']))).toBeLessThan(30);
  });

  it('what was made before is there as long as it was to be, and no longer', async () => {
    const container = (await ask('POST', '/containers', { name: 'a' })).body.id;
    const { id: upload } = (
      await ask('POST', '/uploads', { filename: 'a', bytes: 1, purpose: 'user_data', mime_type: 'a/b' })
    ).body;
    await server.prisma.blob.upsert({
      where: { sha256: 'x' },
      create: { sha256: 'x', bytes: 1n },
      update: {},
    });
    const file = (id: string, seconds: string) =>
      server.prisma.$executeRawUnsafe(`
      INSERT INTO "File" ("id", "projectId", "filename", "purpose", "bytes", "blobSha256", "expiresAt")
      VALUES ('${id}', 'proj_default', 'f', 'user_data', 1, 'x', (now() AT TIME ZONE 'utc') + interval '${seconds}')
      ON CONFLICT ("id") DO UPDATE SET "expiresAt" = EXCLUDED."expiresAt"`);
    const [alive, over] = [
      `file-alive${ms < 0 ? 'Before' : 'After'}`,
      `file-over${ms < 0 ? 'Before' : 'After'}`,
    ];
    await file(alive, '1 hour');
    await file(over, '-1 hour');
    skew(ms);
    expect((await ask('GET', `/files/${alive}`)).status).toBe(200);
    expect((await ask('GET', `/files/${over}`)).status).toBe(404);
    expect((await ask('GET', `/containers/${container}`)).body['status']).toBe('running');
    const listed = (await ask('GET', '/containers')).body.data.find(({ id }) => id === container);
    expect(listed?.['status']).toBe('running');
    await server.app.get(RetentionService).forget();
    expect((await ask('GET', `/files/${alive}`)).status).toBe(200);
    expect((await ask('POST', `/uploads/${upload}/cancel`)).body['status']).toBe('cancelled');
  });
});
