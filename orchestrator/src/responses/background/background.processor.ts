import { Processor } from '@nestjs/bullmq';
import type { OnApplicationBootstrap } from '@nestjs/common';
import { z } from 'zod';
import { JobProcessor } from '../../queues/job.processor.js';
import { JobScheduler } from '../../queues/job-scheduler.js';
import { QUEUES } from '../../queues/queue-names.js';
import { BackgroundService, RUN_RESPONSE } from './background.service.js';

const TAKE_UP = 'take-up-abandoned';
const TAKE_UP_MS = 5_000;
/** Background responses that run at the same time in this process. */
const CONCURRENCY = 64;

const payload = z.object({ responseId: z.string() });

@Processor(QUEUES.responses, { concurrency: CONCURRENCY })
export class BackgroundProcessor extends JobProcessor implements OnApplicationBootstrap {
  readonly handlers = {
    [RUN_RESPONSE]: (data: unknown) => this.background.run(payload.parse(data).responseId),
    [TAKE_UP]: () => this.background.takeUpAbandoned(),
  };

  constructor(
    private readonly background: BackgroundService,
    private readonly jobs: JobScheduler,
  ) {
    super();
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.jobs.every(QUEUES.responses, TAKE_UP, TAKE_UP_MS);
  }
}
