import { setTimeout as sleep } from 'node:timers/promises';
import { getQueueToken } from '@nestjs/bullmq';
import { Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import type { JobsOptions, Queue } from 'bullmq';
import { KeyedMutex } from '../common/mutex.js';
import type { QueueName } from './queue-names.js';
import { logSeldom } from './quiet-log.js';

/** A job that is to be done again and again. */
export interface Schedule {
  readonly queue: QueueName;
  readonly jobName: string;
  readonly intervalMs: number;
  /** What becomes of each of its jobs. */
  readonly options: Pick<JobsOptions, 'removeOnComplete' | 'removeOnFail'>;
}

const LOOK_MS = 15_000;
/** A run that makes the job of the next takes a moment between the one and the other. */
const MOMENT_MS = 200;

/**
 * Begins schedules, and begins them again when they have come to an end by themselves.
 *
 * In BullMQ each run of a schedule makes the job of the next. Renewing a schedule whose job is running takes
 * that job away from its worker; then it is done twice, or the next is never made, and nothing would run
 * before the next start of a server. So a schedule that goes on is left alone, and the others are looked for.
 */
@Injectable()
export class Schedules implements OnModuleDestroy {
  private readonly logger = new Logger('Queues');
  private readonly complain = logSeldom(this.logger, 'schedules');
  private readonly turns = new KeyedMutex();
  private readonly begun = new Map<string, Schedule>();
  private timer: NodeJS.Timeout | undefined;
  private isLooking = false;

  constructor(private readonly moduleRef: ModuleRef) {}

  /** Resolves when the schedule is on disk; `JobScheduler.every` says how often and when it runs. */
  async begin(schedule: Schedule): Promise<void> {
    const name = nameOf(schedule);
    await this.turns.run(name, async () => {
      if (!(await this.goesOn(schedule))) await this.renew(schedule);
    });
    this.begun.set(name, schedule);
    this.timer ??= setInterval(() => void this.lookUnlessBusy(), LOOK_MS).unref();
  }

  /** Renews those that ended by themselves. Called every 15 s until the server stops; what fails is logged, and tried at the next look. */
  async look(): Promise<void> {
    for (const [name, schedule] of this.begun) {
      await this.turns
        .run(name, async () => {
          if (await this.goesOn(schedule)) return;
          this.logger.warn(`the schedule of ${name} had come to an end by itself; it is renewed`);
          await this.renew(schedule);
        })
        .catch(this.complain);
    }
  }

  /** While the database is away a look takes longer than the time between two; they must not pile up. */
  private async lookUnlessBusy(): Promise<void> {
    if (this.isLooking) return;
    this.isLooking = true;
    await this.look().finally(() => (this.isLooking = false));
  }

  onModuleDestroy(): void {
    clearInterval(this.timer);
  }

  private async renew({ queue, jobName, intervalMs, options }: Schedule): Promise<void> {
    const template = { name: jobName, data: {}, opts: options };
    await this.queue(queue).upsertJobScheduler(jobName, { every: intervalMs }, template);
  }

  /** Whether its next run is waited for, or runs, in the interval that is asked for. */
  private async goesOn(schedule: Schedule): Promise<boolean> {
    const missing = await this.missingRun(schedule);
    if (missing === undefined) return true;
    await sleep(MOMENT_MS);
    return (await this.missingRun(schedule)) !== missing;
  }

  /** The time (ms) of the next run for which there is no job; 0 when there is no such schedule at all. */
  private async missingRun({ queue: name, jobName, intervalMs }: Schedule): Promise<number | undefined> {
    const queue = this.queue(name);
    const scheduler = await queue.getJobScheduler(jobName);
    if (scheduler?.next === undefined || scheduler.every !== intervalMs) return 0;
    const state = await queue.getJobState(`repeat:${jobName}:${scheduler.next}`);
    return ['unknown', 'completed', 'failed'].includes(state) ? scheduler.next : undefined;
  }

  private queue(name: QueueName): Queue {
    return this.moduleRef.get<Queue>(getQueueToken(name), { strict: false });
  }
}

const nameOf = ({ queue, jobName }: Schedule): string => `${queue}/${jobName}`;
