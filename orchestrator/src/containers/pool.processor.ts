import { Processor } from '@nestjs/bullmq';
import { Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { JobProcessor } from '../queues/job.processor.js';
import { JobScheduler } from '../queues/job-scheduler.js';
import { QUEUES } from '../queues/queue-names.js';
import { SandboxPool } from '../sandboxes/sandbox.pool.js';

const REFILL = 'refill';
/** Milliseconds between two looks at the pool that nothing else asked for. */
const CHECK_MS = 15_000;

/** Keeps the warm pool at its targets. The pool lives in this process, so its job runs here too. */
@Processor(QUEUES.pool, { concurrency: 2 })
export class PoolProcessor extends JobProcessor implements OnApplicationBootstrap {
  private readonly logger = new Logger(PoolProcessor.name);
  readonly handlers = { [REFILL]: () => this.refill() };

  constructor(
    private readonly pool: SandboxPool,
    private readonly jobs: JobScheduler,
  ) {
    super();
  }

  async onApplicationBootstrap(): Promise<void> {
    this.pool.setTakenListener(() => void this.ask());
    await this.jobs.every(QUEUES.pool, REFILL, CHECK_MS);
    await this.ask();
  }

  private async ask(): Promise<void> {
    try {
      await this.jobs.add(QUEUES.pool, REFILL, {});
    } catch (error) {
      this.logger.warn(
        { err: error },
        'the refill of the pool could not be asked for; the next look does it',
      );
    }
  }

  private async refill(): Promise<void> {
    let more = true;
    while (more) more = await this.pool.refillOne();
  }
}
