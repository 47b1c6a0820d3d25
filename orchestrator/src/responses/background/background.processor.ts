import { Processor } from '@nestjs/bullmq';
import { Inject, type OnApplicationBootstrap } from '@nestjs/common';
import { z } from 'zod';
import { renewalMs } from '../../common/lease-keeper.js';
import { ENV } from '../../config/config.module.js';
import type { Env } from '../../config/env.schema.js';
import { JobProcessor } from '../../queues/job.processor.js';
import { JobScheduler } from '../../queues/job-scheduler.js';
import { QUEUES } from '../../queues/queue-names.js';
import { WaitingRuns } from '../run/waiting-runs.js';
import { BackgroundService, RUN_RESPONSE } from './background.service.js';

const TAKE_UP = 'take-up-abandoned';
/** Background responses that run at the same time in this process. */
const CONCURRENCY = 64;

const payload = z.object({ responseId: z.string() });

@Processor(QUEUES.responses, { concurrency: CONCURRENCY })
export class BackgroundProcessor extends JobProcessor implements OnApplicationBootstrap {
  readonly handlers = {
    [RUN_RESPONSE]: (data: unknown) => this.background.run(payload.parse(data).responseId),
    [TAKE_UP]: () => Promise.all([this.background.takeUpAbandoned(), this.waiting.failAbandoned()]),
  };

  constructor(
    private readonly background: BackgroundService,
    private readonly waiting: WaitingRuns,
    private readonly jobs: JobScheduler,
    @Inject(ENV) private readonly env: Env,
  ) {
    super();
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.jobs.every(QUEUES.responses, TAKE_UP, renewalMs(this.env.RESPONSE_LEASE_SECONDS));
  }
}
