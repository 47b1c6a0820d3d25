/** The whole server on a real PostgreSQL, with the fake driver of sandboxes, asked through `inject`. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getQueueToken } from '@nestjs/bullmq';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Queue } from 'bullmq';
import { expect, vi } from 'vitest';
import { AppModule } from '../../../orchestrator/src/app.module.js';
import { parseEnv } from '../../../orchestrator/src/config/env.js';
import { PrismaService } from '../../../orchestrator/src/database/prisma.service.js';
import { createApp } from '../../../orchestrator/src/http/create-app.js';
import { QUEUES } from '../../../orchestrator/src/queues/queue-names.js';
import { FakeSandboxDriver } from '../../fakes/sandboxes/fake.driver.js';
import { freshDatabase } from '../../support/postgres.js';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly body: Body;
}

/** Loose on purpose: tests look at fields and compare them. */
export interface Body {
  readonly [field: string]: unknown;
  readonly id: string;
  readonly secret: string;
  readonly data: readonly Body[];
  readonly error: { readonly code: string | null; readonly message: string; readonly param: string | null };
}

export const ADMIN_KEY = 'admin-key-of-the-admin-tests';
export const FIRST_KEY = 'sk-first-key-of-the-admin-tests';

export interface AdminApp {
  readonly app: NestFastifyApplication;
  readonly prisma: PrismaService;
  readonly driver: FakeSandboxDriver;
  readonly blobDir: string;
  readonly databaseUrl: string;
  /** Asks with the admin key. */
  admin(method: string, path: string, body?: unknown): Promise<Answer>;
  /** Asks with any key, or none. */
  ask(key: string | undefined, method: string, path: string, body?: unknown): Promise<Answer>;
  /** A new project with a key of its own. */
  project(name?: string): Promise<{ readonly id: string; readonly key: string }>;
  stop(): Promise<void>;
}

/** What `inject` came back with. */
export function answerOf(reply: {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}): Answer {
  const { statusCode: status, headers, body: text } = reply;
  const isJson = String(headers['content-type']).includes('json');
  return { status, headers, text, body: (isJson ? JSON.parse(text) : null) as Body };
}

/** Forgetting records, collecting content, removing projects: `RetentionProcessor`. */
const JOBS_OF_THE_BOOT = 3;

/**
 * Waits until the retention jobs of the boot are over; the next come in ten minutes. On a busy machine
 * they still run when the first test does, and take what it lets the service forget by hand.
 */
async function retentionIsIdle(app: NestFastifyApplication): Promise<void> {
  const queue = app.get<Queue>(getQueueToken(QUEUES.retention), { strict: false });
  await vi.waitFor(async () => {
    const { completed = 0, failed = 0 } = await queue.getJobCounts('completed', 'failed');
    expect(completed + failed).toBeGreaterThanOrEqual(JOBS_OF_THE_BOOT);
  }, 20_000);
}

export async function startAdminApp(overrides: Readonly<Record<string, string>> = {}): Promise<AdminApp> {
  const dir = await mkdtemp(join(tmpdir(), 'admin-app-'));
  const database = await freshDatabase();
  const driver = new FakeSandboxDriver();
  const blobDir = join(dir, 'blobs');
  const env = parseEnv({
    DATA_DIR: dir,
    LOG_LEVEL: 'silent',
    API_KEY: FIRST_KEY,
    ADMIN_KEY,
    SANDBOX_POOL: '1g=1',
    ...overrides,
  });
  const cleanUp = async () => {
    await database.drop();
    await rm(dir, { recursive: true, force: true });
  };
  let app: NestFastifyApplication | undefined;
  try {
    app = await createApp(AppModule.forRoot({ env, databaseUrl: database.url, blobDir, driver }), env);
    await retentionIsIdle(app);
  } catch (error) {
    await app?.close();
    await cleanUp();
    throw error;
  }
  const ask: AdminApp['ask'] = async (key, method, path, body) => {
    const reply = await app.inject({
      method: method as 'GET',
      url: path,
      headers: key === undefined ? {} : { authorization: `Bearer ${key}` },
      ...(body === undefined ? {} : { payload: body as object }),
    });
    return answerOf(reply);
  };
  const admin: AdminApp['admin'] = (method, path, body) => ask(ADMIN_KEY, method, path, body);
  return {
    app,
    prisma: app.get(PrismaService),
    driver,
    blobDir,
    databaseUrl: database.url,
    ask,
    admin,
    project: async (name = 'test') => {
      const { id } = (await admin('POST', '/admin/v1/projects', { name })).body;
      const key = await admin('POST', `/admin/v1/projects/${id}/api_keys`, { name: 'test' });
      return { id, key: key.body.secret };
    },
    stop: async () => {
      await app.close();
      await cleanUp();
    },
  };
}
