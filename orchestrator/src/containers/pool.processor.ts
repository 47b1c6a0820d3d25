import { Processor } from '@nestjs/bullmq';
import type { OnApplicationBootstrap } from '@nestjs/common';
import { JobProcessor } from '../queues/job.processor.js';
import { JobScheduler } from '../queues/job-scheduler.js';
import { QUEUES } from '../queues/queue-names.js';
import { SandboxPool } from '../sandboxes/sandbox.pool.js';

const REFILL = 'refill';
/** Milliseconds between two looks at the pool that nothing else asked for. */
const CHECK_MS = 15_000;

/** Looks at the warm pool from time to time. Whenever one is taken, the pool starts another by itself. */
@Processor(QUEUES.pool)
export class PoolProcessor extends JobProcessor implements OnApplicationBootstrap {
  readonly handlers = { [REFILL]: () => Promise.resolve(this.pool.refill()) };

  constructor(
    private readonly pool: SandboxPool,
    private readonly jobs: JobScheduler,
  ) {
    super();
  }

  async onApplicationBootstrap(): Promise<void> {
    this.pool.refill();
    await this.jobs.every(QUEUES.pool, REFILL, CHECK_MS);
  }
}
