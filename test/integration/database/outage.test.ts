/** PostgreSQL goes away under requests and comes back: they are told so, and all is well again by itself. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AppModule } from '../../../orchestrator/src/app.module.js';
import { parseEnv } from '../../../orchestrator/src/config/env.js';
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../../orchestrator/src/database/embedded-postgres.js';
import { migrate } from '../../../orchestrator/src/database/migrate.js';
import { PrismaService } from '../../../orchestrator/src/database/prisma.service.js';
import { createApp } from '../../../orchestrator/src/http/create-app.js';
import { FakeSandboxDriver } from '../../fakes/sandboxes/fake.driver.js';
import { eventually } from '../../support/api.js';

const KEY = 'sk-key-of-the-outage-test';
let dir: string;
let postgres: EmbeddedPostgres;
let app: NestFastifyApplication;

const start = () => startEmbeddedPostgres({ dataDir: dir, log: () => undefined, durable: false });
const ask = (method: 'GET' | 'POST', url: string, payload?: object) =>
  app.inject({ method, url, headers: { authorization: `Bearer ${KEY}` }, ...(payload ? { payload } : {}) });

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'code-interpreter-outage-'));
  postgres = await start();
  await migrate({ url: postgres.url });
  const env = parseEnv({
    DATA_DIR: dir,
    LOG_LEVEL: 'silent',
    API_KEY: KEY,
    ADMIN_KEY: 'admin',
    SANDBOX_POOL: '1g=0',
  });
  const parts = {
    env,
    databaseUrl: postgres.url,
    blobDir: join(dir, 'blobs'),
    driver: new FakeSandboxDriver(),
  };
  app = await createApp(AppModule.forRoot(parts), env);
});
afterAll(async () => {
  await app?.close();
  await postgres?.stop();
  await rm(dir, { recursive: true, force: true });
});

const respond = (background: boolean) =>
  ask('POST', '/v1/responses', {
    model: 'python',
    input: 'print:1',
    background,
    tools: [{ type: 'code_interpreter', container: { type: 'auto' } }],
  });

it('answers 503 with retry-after while PostgreSQL is away, and goes on when it is back', async () => {
  expect((await respond(false)).statusCode).toBe(200);
  await postgres.stop();
  for (let round = 0; round < 3; round += 1) {
    for (const reply of await Promise.all([
      ask('GET', '/v1/containers'),
      ask('GET', '/v1/files'),
      ask('POST', '/v1/containers', { name: 'x' }),
      ask('POST', '/v1/conversations', {}),
    ])) {
      expect(reply.statusCode, reply.body).toBe(503);
      expect(reply.headers['retry-after']).toBe('5');
      expect(reply.json()).toMatchObject({
        error: { type: 'server_error', code: 'service_unavailable', param: null },
      });
    }
  }
  postgres = await start();
  const made = await eventually(
    () => ask('POST', '/v1/containers', { name: 'x' }),
    (reply) => reply.statusCode === 200,
  );
  expect(made.json()).toMatchObject({ object: 'container' });
  // Queues and listeners too: a job takes this one up.
  const background = (await respond(true)).json<{ id: string }>();
  await eventually(
    async () => (await ask('GET', `/v1/responses/${background.id}`)).json<{ status: string }>(),
    ({ status }) => status === 'completed',
  );
});

it('answers 507 when the disk of PostgreSQL is full, and stores nothing', async () => {
  const prisma = app.get(PrismaService);
  await prisma.$executeRaw`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$`;
  await prisma.$executeRaw`CREATE TRIGGER full_disk BEFORE INSERT ON "Conversation" FOR EACH ROW EXECUTE FUNCTION full_disk()`;
  const refused = await ask('POST', '/v1/conversations', {});
  expect(refused.statusCode).toBe(507);
  expect(refused.json()).toMatchObject({ error: { code: 'storage_full' } });
  await prisma.$executeRaw`DROP TRIGGER full_disk ON "Conversation"`;
  expect((await ask('POST', '/v1/conversations', {})).statusCode).toBe(200);
});
