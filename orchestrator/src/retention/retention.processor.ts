import { Processor } from '@nestjs/bullmq';
import { Inject, type OnApplicationBootstrap } from '@nestjs/common';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { JobProcessor } from '../queues/job.processor.js';
import { JobScheduler } from '../queues/job-scheduler.js';
import { QUEUES } from '../queues/queue-names.js';
import { ProjectRemoval, REMOVE_PROJECTS } from './project-removal.service.js';
import { RetentionService } from './retention.service.js';

const FORGET = 'forget-records';
const COLLECT = 'collect-garbage';

@Processor(QUEUES.retention)
export class RetentionProcessor extends JobProcessor implements OnApplicationBootstrap {
  readonly handlers = {
    [FORGET]: () => this.retention.forget(),
    [COLLECT]: () => this.retention.collectGarbage(),
    [REMOVE_PROJECTS]: () => this.removal.removeMarked(),
  };

  constructor(
    private readonly retention: RetentionService,
    private readonly removal: ProjectRemoval,
    private readonly jobs: JobScheduler,
    @Inject(ENV) private readonly env: Env,
  ) {
    super();
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.jobs.every(QUEUES.retention, FORGET, this.env.RETENTION_INTERVAL_MS);
    await this.jobs.every(QUEUES.retention, COLLECT, this.env.RETENTION_INTERVAL_MS);
    await this.jobs.every(QUEUES.retention, REMOVE_PROJECTS, this.env.RETENTION_INTERVAL_MS);
  }
}
