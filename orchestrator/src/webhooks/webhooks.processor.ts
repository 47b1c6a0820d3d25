import { Processor } from '@nestjs/bullmq';
import type { OnApplicationBootstrap } from '@nestjs/common';
import { z } from 'zod';
import { OutboxRepository } from '../outbox/outbox.repository.js';
import { JobProcessor } from '../queues/job.processor.js';
import { JobScheduler } from '../queues/job-scheduler.js';
import { QUEUES } from '../queues/queue-names.js';
import { DELIVER, DeliveriesService } from './deliveries/deliveries.service.js';

const TAKE_UP = 'take-up-forgotten';
const TAKE_UP_MS = 5_000;
/** Tries at the same time in this process. */
const CONCURRENCY = 32;

const payload = z.object({ deliveryId: z.string() });

@Processor(QUEUES.webhooks, { concurrency: CONCURRENCY })
export class WebhooksProcessor extends JobProcessor implements OnApplicationBootstrap {
  readonly handlers = {
    [DELIVER]: (data: unknown) => this.deliveries.deliver(payload.parse(data).deliveryId),
    [TAKE_UP]: () => this.deliveries.takeUpForgotten(),
  };

  constructor(
    private readonly deliveries: DeliveriesService,
    private readonly outbox: OutboxRepository,
    private readonly jobs: JobScheduler,
  ) {
    super();
  }

  async onApplicationBootstrap(): Promise<void> {
    this.outbox.written.on((ids) => void this.deliveries.enqueue(ids));
    await this.jobs.every(QUEUES.webhooks, TAKE_UP, TAKE_UP_MS);
  }
}
