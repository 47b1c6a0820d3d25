import { WorkerHost } from '@nestjs/bullmq';
import { type Job, UnrecoverableError } from 'bullmq';

/** Does one job. `signal` is not given: a job that takes long must look at the database row it works on. */
export type JobHandler = (payload: unknown, job: Job) => Promise<unknown>;

/**
 * Base of every `*.processor.ts`. A feature writes one class for a queue and names its jobs:
 *
 *     @Processor(QUEUES.sweep)
 *     export class SweepProcessor extends JobProcessor {
 *       readonly handlers = { 'expire-containers': () => this.containers.expire() };
 *
 * The queue delivers at least once; the database row decides. So a handler parses its payload, claims
 * the row, and goes home when there is nothing to claim.
 */
export abstract class JobProcessor extends WorkerHost {
  /** By job name. */
  abstract readonly handlers: Readonly<Record<string, JobHandler>>;

  /** Called by the worker. A job that nobody handles fails at once and is not tried again. */
  override async process(job: Job): Promise<unknown> {
    const handler = Object.hasOwn(this.handlers, job.name) ? this.handlers[job.name] : undefined;
    if (!handler)
      throw new UnrecoverableError(`${this.constructor.name} has no handler for the job '${job.name}'`);
    return handler(job.data, job);
  }
}
