import { Processor } from '@nestjs/bullmq';
import { Inject, type OnApplicationBootstrap } from '@nestjs/common';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { JobProcessor } from '../queues/job.processor.js';
import { JobScheduler } from '../queues/job-scheduler.js';
import { QUEUES } from '../queues/queue-names.js';
import { SweepService } from './sweep.service.js';

const SWEEP = 'sweep-containers';

@Processor(QUEUES.sweep)
export class SweepProcessor extends JobProcessor implements OnApplicationBootstrap {
  readonly handlers = { [SWEEP]: () => this.sweeper.sweep() };

  constructor(
    private readonly sweeper: SweepService,
    private readonly jobs: JobScheduler,
    @Inject(ENV) private readonly env: Env,
  ) {
    super();
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.jobs.every(QUEUES.sweep, SWEEP, this.env.SWEEP_INTERVAL_MS);
  }
}
