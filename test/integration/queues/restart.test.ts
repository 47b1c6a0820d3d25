import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Processor } from '@nestjs/bullmq';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { expect, it } from 'vitest';
import { DatabaseModule } from '../../../orchestrator/src/database/database.module.js';
import { startEmbeddedPostgres } from '../../../orchestrator/src/database/embedded-postgres.js';
import { migrate } from '../../../orchestrator/src/database/migrate.js';
import { PrismaService } from '../../../orchestrator/src/database/prisma.service.js';
import { JobProcessor } from '../../../orchestrator/src/queues/job.processor.js';
import { JobScheduler } from '../../../orchestrator/src/queues/job-scheduler.js';
import { QUEUES } from '../../../orchestrator/src/queues/queue-names.js';
import { QueuesModule } from '../../../orchestrator/src/queues/queues.module.js';

/**
 * A job that was running when the database went away belongs to its worker until its lock has run out
 * (30 s), and is handed out again by the next look at such jobs (every 30 s); so is the schedule it was of.
 */
const STALLED_MS = 90_000;
const TIMEOUT_MS = 200_000;

const done: unknown[] = [];
let ticks = 0;
/** A tick that begins waits for it. */
let held: Promise<void> | undefined;
let isHeld = false;

@Processor(QUEUES.pool)
class PoolProcessor extends JobProcessor {
  readonly handlers = {
    fill: async (payload: unknown) => done.push(payload),
    tick: async () => {
      isHeld = held !== undefined;
      await held;
      isHeld = false;
      ticks += 1;
    },
  };
}

it(
  'workers, schedules and repositories go on after PostgreSQL was restarted under them',
  async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'code-interpreter-restart-'));
    await chmod(dataDir, 0o755);
    const server = await startEmbeddedPostgres({ dataDir, log: () => undefined });
    try {
      await migrate({ url: server.url });

      @Module({
        imports: [
          DatabaseModule.forRoot({ url: server.url }),
          QueuesModule.forRoot({ databaseUrl: server.url }),
        ],
        providers: [PoolProcessor],
      })
      class TestApp {}

      const app = await NestFactory.createApplicationContext(TestApp, { logger: false });
      const jobs = app.get(JobScheduler);
      await jobs.every('pool', 'tick', 200);
      await jobs.add('pool', 'fill', { when: 'before' });
      await expect.poll(() => done.length, { timeout: 10_000 }).toBe(1);
      await jobs.add('pool', 'fill', { when: 'across' }, { delayMs: 500 });
      const tick = Promise.withResolvers<void>();
      held = tick.promise;
      await expect.poll(() => isHeld, { timeout: 10_000 }).toBe(true);

      const { pid } = server;
      process.kill(pid!, 'SIGINT');
      // It ends now, and there is nobody to tell.
      held = undefined;
      tick.resolve();
      await expect.poll(() => server.pid, { timeout: 30_000 }).not.toBe(pid);

      await expect
        .poll(() => done, { timeout: STALLED_MS })
        .toEqual([{ when: 'before' }, { when: 'across' }]);
      await jobs.add('pool', 'fill', { when: 'after' });
      await expect.poll(() => done.at(-1), { timeout: STALLED_MS }).toEqual({ when: 'after' });
      const ticksNow = ticks;
      await expect.poll(() => ticks, { timeout: STALLED_MS }).toBeGreaterThan(ticksNow + 2);
      await expect.poll(() => app.get(PrismaService).container.count()).toBe(0);

      await app.close();
    } finally {
      await server.stop();
      await rm(dataDir, { recursive: true, force: true });
    }
  },
  TIMEOUT_MS,
);
