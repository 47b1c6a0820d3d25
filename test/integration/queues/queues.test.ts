import { getQueueToken, Processor } from '@nestjs/bullmq';
import { type INestApplicationContext, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Queue } from 'bullmq';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { JobProcessor } from '../../../orchestrator/src/queues/job.processor.js';
import { JobScheduler } from '../../../orchestrator/src/queues/job-scheduler.js';
import { QUEUES } from '../../../orchestrator/src/queues/queue-names.js';
import { Schedules } from '../../../orchestrator/src/queues/schedules.js';
import { QueuesLifecycle } from '../../../orchestrator/src/queues/queues.lifecycle.js';
import { QueuesModule } from '../../../orchestrator/src/queues/queues.module.js';
import { freshDatabase, type TestDatabase } from '../../support/postgres.js';

interface Call {
  readonly name: string;
  readonly payload: unknown;
  readonly atMs: number;
}

let calls: Call[] = [];
let failures = 0;
const note = (name: string, payload: unknown): void => void calls.push({ name, payload, atMs: Date.now() });
const of = (wanted: string): readonly Call[] => calls.filter(({ name }) => name === wanted);
const until = (name: string, count = 1): Promise<void> =>
  expect.poll(() => of(name).length, { timeout: 50_000, interval: 2 }).toBeGreaterThanOrEqual(count);

@Processor(QUEUES.sweep)
class SweepProcessor extends JobProcessor {
  readonly handlers = {
    greet: async (payload: unknown) => note('greet', payload),
    tick: async (payload: unknown) => note('tick', payload),
    rare: async (payload: unknown) => note('rare', payload),
    slow: async (payload: unknown) => {
      await new Promise((resolve) => setTimeout(resolve, 400));
      note('slow', payload);
    },
    flaky: async (payload: unknown) => {
      failures += 1;
      if (failures < 3) throw new Error('not yet');
      note('flaky', payload);
    },
  };
}

@Processor(QUEUES.sweep)
class SecondSweepProcessor extends JobProcessor {
  readonly handlers = {};
}

async function boot(
  url: string,
  providers: readonly (new () => JobProcessor)[],
): Promise<INestApplicationContext> {
  @Module({ imports: [QueuesModule.forRoot({ databaseUrl: url })], providers: [...providers] })
  class TestApp {}
  return NestFactory.createApplicationContext(TestApp, { logger: false, abortOnError: false });
}

/** Resolves when none of the queue's jobs runs. */
const idle = (jobs: JobScheduler) =>
  expect.poll(async () => (await jobs.state()).sweep.active, { interval: 5 }).toBe(0);

describe('job queues on PostgreSQL', () => {
  let database: TestDatabase;
  let app: INestApplicationContext;
  let jobs: JobScheduler;
  const queue = () => app.get<Queue>(getQueueToken(QUEUES.sweep), { strict: false });

  beforeAll(async () => {
    database = await freshDatabase({ migrated: false });
    app = await boot(database.url, [SweepProcessor]);
    jobs = app.get(JobScheduler);
  });

  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  it('delivers a job with its payload at once', async () => {
    const laps: number[] = [];
    for (let n = 0; n < 10; n += 1) {
      calls = [];
      const startedAt = performance.now();
      await jobs.add('sweep', 'greet', { n });
      await until('greet');
      laps.push(performance.now() - startedAt);
      expect(calls[0]?.payload).toEqual({ n });
    }
    laps.sort((a, b) => a - b);
    expect(laps[5]).toBeLessThan(1_000);
  });

  it('holds a delayed job back', async () => {
    calls = [];
    const startedAt = Date.now();
    await jobs.add('sweep', 'greet', {}, { delayMs: 300 });
    await until('greet');
    expect(calls[0]!.atMs - startedAt).toBeGreaterThanOrEqual(290);
  });

  it('does a job of one id once while it waits, and again when it is done', async () => {
    calls = [];
    for (let n = 0; n < 3; n += 1) await jobs.add('sweep', 'greet', {}, { jobId: 'only-one', delayMs: 200 });
    await until('greet');
    await idle(jobs);
    await jobs.add('sweep', 'greet', {}, { jobId: 'only-one' });
    await until('greet', 2);
    expect(calls).toHaveLength(2);
  });

  it('tries a failing job again', async () => {
    calls = [];
    await jobs.add('sweep', 'flaky', {}, { attempts: 3, backoffMs: 20 });
    await until('flaky');
    expect(failures).toBe(3);
  });

  it('refuses a job that nobody handles', async () => {
    await expect(jobs.add('sweep', 'nonsense', {})).rejects.toThrow(
      /No handler for the job 'nonsense'.*SweepProcessor/,
    );
  });

  it('counts jobs by state', async () => {
    await jobs.add('webhooks', 'later', {}, { delayMs: 60_000, jobId: 'counted' });
    expect(await jobs.state()).toMatchObject({ webhooks: { delayed: 1 }, pool: { waiting: 0, active: 0 } });
  });

  it('refuses to boot with two processors for a queue', async () => {
    await expect(boot(database.url, [SweepProcessor, SecondSweepProcessor])).rejects.toThrow(
      /SweepProcessor and SecondSweepProcessor both process the queue 'sweep'/,
    );
  });

  it('lets a running job end before it stops, and keeps waiting jobs for the next start', async () => {
    calls = [];
    await jobs.add('sweep', 'slow', { n: 1 });
    await expect.poll(async () => (await jobs.state()).sweep.active, { interval: 5 }).toBe(1);
    await jobs.add('sweep', 'slow', { n: 2 });
    await app.get(QueuesLifecycle).drain();
    expect(calls.map((call) => call.payload)).toEqual([{ n: 1 }]);
    await app.close();
    app = await boot(database.url, [SweepProcessor]);
    jobs = app.get(JobScheduler);
    await until('slow', 2);
    expect(calls.map((call) => call.payload)).toEqual([{ n: 1 }, { n: 2 }]);
  });

  describe('a schedule that came to its end by itself', () => {
    const everyMs = 4_000;
    const next = async () => (await queue().getJobScheduler('rare'))?.next;
    /** BullMQ itself does not remove a job of a schedule. */
    const forget = async (jobId: string) => {
      const client = new pg.Client({ connectionString: database.url });
      await client.connect();
      const { rowCount } = await client.query('DELETE FROM bullmq.job WHERE id = $1', [jobId]);
      await client.end();
      if (rowCount !== 1) throw new Error(`there is no job ${jobId}`);
    };
    const look = () => app.get(Schedules).look();

    beforeEach(async () => {
      calls = [];
      await queue().removeJobScheduler('rare');
      await jobs.every('sweep', 'rare', everyMs);
      await until('rare');
      await idle(jobs);
    });

    it.each([
      ['with a next run that has no job', async () => forget(`repeat:rare:${await next()}`)],
      ['and is not there any more', async () => queue().removeJobScheduler('rare')],
    ])('is renewed: %s', async (_, end) => {
      await end();
      calls = [];
      await look();
      await until('rare', 2);
      expect((await queue().getJobScheduler('rare'))?.every).toBe(everyMs);
    });

    it('is told from one that goes on', async () => {
      const before = await next();
      await look();
      expect(await next()).toBe(before);
    });
  });

  // Last, for it goes on.
  it('repeats a scheduled job, once per interval however often it is asked for', async () => {
    calls = [];
    const everyMs = 1_000;
    while (of('tick').length < 4) await jobs.every('sweep', 'tick', everyMs);
    const [first, , , fourth] = of('tick');
    // The second comes at the next full interval, so it is two at least; done twice over it were one.
    expect(fourth!.atMs - first!.atMs).toBeGreaterThan(1.5 * everyMs);
    await queue().removeJobScheduler('tick');
  });

  it('begins a schedule once, however many ask for it at the same time', async () => {
    for (let round = 1; round <= 20; round += 1) {
      calls = [];
      await Promise.all([1, 2, 3].map(() => jobs.every('sweep', 'greet', 3_600_000)));
      await until('greet');
      await idle(jobs);
      expect(of('greet')).toHaveLength(1);
      await queue().removeJobScheduler('greet');
    }
  });

  it('repeats it at another interval when an earlier version asked for a longer one', async () => {
    calls = [];
    await jobs.every('sweep', 'greet', 3_600_000);
    await until('greet');
    await jobs.every('sweep', 'greet', 1_000);
    await until('greet', 3);
    expect((await queue().getJobScheduler('greet'))?.every).toBe(1_000);
  });
});
