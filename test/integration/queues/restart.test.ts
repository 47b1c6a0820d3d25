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

const done: unknown[] = [];
let ticks = 0;

@Processor(QUEUES.pool)
class PoolProcessor extends JobProcessor {
  readonly handlers = {
    fill: async (payload: unknown) => done.push(payload),
    tick: async () => (ticks += 1),
  };
}

it('workers, schedules and repositories go on after PostgreSQL was restarted under them', async () => {
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

    const { pid } = server;
    process.kill(pid!, 'SIGINT');
    await expect.poll(() => server.pid, { timeout: 30_000 }).not.toBe(pid);

    await expect.poll(() => done, { timeout: 20_000 }).toEqual([{ when: 'before' }, { when: 'across' }]);
    await jobs.add('pool', 'fill', { when: 'after' });
    await expect.poll(() => done.at(-1), { timeout: 20_000 }).toEqual({ when: 'after' });
    const ticksNow = ticks;
    await expect.poll(() => ticks, { timeout: 20_000 }).toBeGreaterThan(ticksNow + 2);
    await expect.poll(() => app.get(PrismaService).setting.count()).toBe(0);

    const startedAt = performance.now();
    await app.close();
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  } finally {
    await server.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
});
