import { getQueueToken } from '@nestjs/bullmq';
import { Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import type { JobsOptions, Queue } from 'bullmq';
import { Processors } from './processors.js';
import { QUEUE_NAMES, type QueueName } from './queue-names.js';
import { Schedules } from './schedules.js';

export interface AddOptions {
  /** While a job of this id waits or runs, adding it again does nothing. No ':' in it. */
  readonly jobId?: string;
  /** Milliseconds before it may start. */
  readonly delayMs?: number;
  /** How often it is tried in all; default 1. */
  readonly attempts?: number;
  /** Milliseconds before the second try; doubles each time; default 1000. */
  readonly backoffMs?: number;
}

/** Jobs of one queue by state. */
export interface QueueState {
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
  readonly failed: number;
}

const DEFAULT_BACKOFF_MS = 1_000;
const KEEP_COMPLETED = 20;
const KEEP_FAILED = 100;

/** BullMQ's words for our options. A job with an id leaves no trace, or its id could not be used again. */
export function toJobOptions(options: AddOptions): JobsOptions {
  const { jobId, delayMs = 0, attempts = 1, backoffMs = DEFAULT_BACKOFF_MS } = options;
  return {
    delay: delayMs,
    attempts,
    backoff: { type: 'exponential', delay: backoffMs },
    removeOnComplete: jobId === undefined ? { count: KEEP_COMPLETED } : true,
    removeOnFail: jobId === undefined ? { count: KEEP_FAILED } : true,
    ...(jobId === undefined ? {} : { jobId }),
  };
}

/** The way of every feature to ask for work. Ready from `onModuleInit` on. */
@Injectable()
export class JobScheduler {
  constructor(
    private readonly moduleRef: ModuleRef,
    private readonly processors: Processors,
    private readonly schedules: Schedules,
  ) {}

  /**
   * Has the job done every `intervalMs`, the first time at once. Call it at each boot, in
   * `onApplicationBootstrap`: a schedule of that name goes on as it is, or is replaced when an earlier
   * version asked for another interval. With several processes the job is done once per interval, not once per process.
   */
  async every(queue: QueueName, jobName: string, intervalMs: number): Promise<void> {
    this.processors.assertHandled(queue, jobName);
    const { removeOnComplete, removeOnFail } = toJobOptions({});
    await this.schedules.begin({ queue, jobName, intervalMs, options: { removeOnComplete, removeOnFail } });
  }

  /** Asks for one job. Resolves when it is on disk. */
  async add(queue: QueueName, jobName: string, payload: object, options: AddOptions = {}): Promise<void> {
    this.processors.assertHandled(queue, jobName);
    await this.queue(queue).add(jobName, payload, toJobOptions(options));
  }

  /** For the admin API and metrics. */
  async state(): Promise<Readonly<Record<QueueName, QueueState>>> {
    const entries = await Promise.all(
      QUEUE_NAMES.map(async (name) => {
        const counts = await this.queue(name).getJobCounts('waiting', 'active', 'delayed', 'failed');
        const of = (state: string): number => counts[state] ?? 0;
        return [
          name,
          { waiting: of('waiting'), active: of('active'), delayed: of('delayed'), failed: of('failed') },
        ];
      }),
    );
    return Object.fromEntries(entries) as Record<QueueName, QueueState>;
  }

  private queue(name: QueueName): Queue {
    return this.moduleRef.get<Queue>(getQueueToken(name), { strict: false });
  }
}
