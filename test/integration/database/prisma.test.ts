import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Test, type TestingModule } from '@nestjs/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lockInTransaction } from '../../../orchestrator/src/database/advisory-lock.js';
import { DatabaseModule } from '../../../orchestrator/src/database/database.module.js';
import { PRISMA_DIR } from '../../../orchestrator/src/database/migration-files.js';
import { diffSchema } from '../../../orchestrator/src/database/migration-tool.js';
import {
  isRecordNotFound,
  isUniqueViolation,
  PrismaService,
} from '../../../orchestrator/src/database/prisma.service.js';
import { DatabaseReadiness } from '../../../orchestrator/src/database/readiness.js';
import { freshDatabase, type TestDatabase } from '../../support/postgres.js';

const run = promisify(execFile);
const GENERATED_CLIENT = fileURLToPath(
  new URL('../../../orchestrator/src/database/generated/client.ts', import.meta.url),
);

/** Takes connections and never says a word, like a PostgreSQL that hangs. */
async function silentServer(): Promise<{ readonly url: string; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket.on('error', () => undefined))).listen(
    0,
    '127.0.0.1',
  );
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `postgresql://nobody@127.0.0.1:${port}/nothing`,
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

const SCRIPT = fileURLToPath(new URL('../../../scripts/prisma', import.meta.url));

describe('PrismaService', () => {
  let database: TestDatabase;
  let app: TestingModule;
  let prisma: PrismaService;

  beforeAll(async () => {
    database = await freshDatabase();
    app = await Test.createTestingModule({
      imports: [DatabaseModule.forRoot({ url: database.url })],
    }).compile();
    await app.init();
    prisma = app.get(PrismaService);
  });

  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  it('writes and reads rows, large numbers and JSON included', async () => {
    await prisma.project.create({ data: { id: 'proj_1', name: 'One', memoryPoolBytes: 2n ** 53n + 1n } });
    const row = await prisma.project.findUniqueOrThrow({ where: { id: 'proj_1' } });
    expect(row).toMatchObject({ name: 'One', status: 'active', memoryPoolBytes: 2n ** 53n + 1n });
    expect(Math.abs(Date.now() - row.createdAt.getTime())).toBeLessThan(60_000);
  });

  it('tells a taken name and a missing row from other errors', async () => {
    await prisma.project.create({ data: { id: 'proj_taken', name: 'a' } });
    const taken = await prisma.project
      .create({ data: { id: 'proj_taken', name: 'b' } })
      .catch((error: unknown) => error);
    expect(isUniqueViolation(taken)).toBe(true);
    expect(isRecordNotFound(taken)).toBe(false);
    const missing = await prisma.project.delete({ where: { id: 'none' } }).catch((error: unknown) => error);
    expect(isRecordNotFound(missing)).toBe(true);
    expect(isUniqueViolation(new Error('P2002'))).toBe(false);
  });

  it('does things under one lock one after another', async () => {
    const order: string[] = [];
    const locked = (name: string): Promise<void> =>
      prisma.$transaction(async (tx) => {
        await lockInTransaction(tx, 'test', 'one thing');
        order.push(`${name} in`);
        await new Promise((resolve) => setTimeout(resolve, 30));
        order.push(`${name} out`);
      });
    await Promise.all([locked('a'), locked('b'), locked('c')]);
    for (let n = 0; n < order.length; n += 2) expect(order[n]!.slice(0, 1)).toBe(order[n + 1]!.slice(0, 1));
  });

  it('reports readiness, and its absence within the time given', async () => {
    const readiness = app.get(DatabaseReadiness);
    expect(await readiness.check()).toEqual({ ready: true, roundTripMs: expect.any(Number) as number });
    const silent = await silentServer();
    const unanswered = new PrismaService({ url: silent.url });
    try {
      expect(await new DatabaseReadiness(unanswered).check(50)).toEqual({
        ready: false,
        problem: 'PostgreSQL did not answer within 50 ms',
      });
    } finally {
      silent.close();
      await unanswered.$disconnect();
    }
  });
});

describe('scripts/prisma', () => {
  const inDir = (
    dir: string,
    ...args: readonly string[]
  ): Promise<{ stdout: string; stderr: string; code: number }> =>
    run(SCRIPT, args, { env: { ...process.env, PRISMA_DIR: dir } }).then(
      ({ stdout, stderr }) => ({ stdout, stderr, code: 0 }),
      (error: { stdout: string; stderr: string; code: number }) => error,
    );

  it('finds no difference in this repository', async () => {
    const database = await freshDatabase({ migrated: false });
    try {
      expect(await diffSchema(PRISMA_DIR, database.url)).toBe('');
    } finally {
      await database.drop();
    }
  });

  it(
    'check fails when the schema has moved on, until migration has written the step',
    { timeout: 180_000 },
    async () => {
      const dir = await mkdtemp(join(tmpdir(), 'code-interpreter-schema-'));
      try {
        await cp(PRISMA_DIR, dir, { recursive: true });
        const schema = join(dir, 'schema.prisma');
        const text = await readFile(schema, 'utf8');
        await writeFile(
          schema,
          text.replace('model WebhookAttempt {', 'model WebhookAttempt {\n  colour String @default("red")'),
        );
        const failed = await inDir(dir, 'check');
        expect(failed.code).toBe(1);
        expect(failed.stderr).toContain('ALTER TABLE "WebhookAttempt" ADD COLUMN     "colour" TEXT');

        expect((await inDir(dir, 'migration', 'Add colour')).stdout).toMatch(
          /\d{14}_add_colour\/migration\.sql/,
        );
        expect(await inDir(dir, 'check')).toMatchObject({ code: 0 });
      } finally {
        await rm(dir, { recursive: true, force: true });
      }
    },
  );

  it('generate does nothing when nothing changed', async () => {
    const written = async (): Promise<number> => (await stat(GENERATED_CLIENT)).mtimeMs;
    const before = await written();
    expect((await run(SCRIPT, ['generate'])).stderr).toBe('');
    expect(await written()).toBe(before);
  });
});
