import { BullRegistrar, getQueueToken } from '@nestjs/bullmq';
import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import type { Job, Queue, Worker } from 'bullmq';
import { TypedEvent } from '../common/typed-event.js';
import { assertOneProcessorEach, Processors } from './processors.js';
import type { QueueConnection } from './queue-connection.js';
import { QUEUE_NAMES, type QueueName } from './queue-names.js';
import { logSeldom } from './quiet-log.js';

/** Injection token of the shared `QueueConnection`. */
export const QUEUE_CONNECTION = Symbol('QUEUE_CONNECTION');

const CLOSE_TIMEOUT_MS = 15_000;

/**
 * Looks after workers and queues from boot to stop. Workers start in `onApplicationBootstrap`, when all
 * modules are initialised. The order of stopping, which Nest's phases give:
 *
 * 1. `onModuleDestroy`: long jobs are let go of (`stopping`); the workers take no more jobs and finish those they have (15 s; a job cut off
 *    then is delivered again at the next start). Features tear down later, in `beforeApplicationShutdown`.
 * 2. The HTTP server ends its requests; these may still add jobs.
 * 3. `onApplicationShutdown`: queues, their connection and Prisma close.
 * 4. Whoever started PostgreSQL stops it, after `app.close()` has resolved.
 */
@Injectable()
export class QueuesLifecycle
  implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy, OnApplicationShutdown
{
  private readonly logger = new Logger('Queues');
  private started = false;
  private draining: Promise<void> | undefined;
  private hasLetGo = false;
  /** The server stops; for long jobs that another process can take up. Comes before the workers are waited for. */
  readonly stopping = new TypedEvent<void>();

  constructor(
    private readonly moduleRef: ModuleRef,
    private readonly processors: Processors,
    @Inject(QUEUE_CONNECTION) private readonly connection: QueueConnection,
  ) {}

  onModuleInit(): void {
    for (const queue of this.queues()) queue.on('error', logSeldom(this.logger, `queue ${queue.name}`));
  }

  async onApplicationBootstrap(): Promise<void> {
    try {
      assertOneProcessorEach(this.processors.all());
    } catch (error) {
      // Nest does not call the hooks of stopping after a failed start.
      await this.onApplicationShutdown();
      throw error;
    }
    this.moduleRef.get(BullRegistrar, { strict: false }).register();
    this.started = true;
    for (const worker of this.workers()) this.watch(worker);
  }

  /** Whether `drain` was asked for. */
  get isDraining(): boolean {
    return this.draining !== undefined;
  }

  /** Takes no more jobs in this process; resolves when those that run have ended. Cannot be undone. */
  async drain(): Promise<void> {
    this.draining ??= Promise.all(this.workers().map((worker) => worker.close())).then(() => undefined);
    await this.draining;
  }

  /** Takes no more jobs of a queue in this process, until `resume`; those that run go on. */
  async pause(name: QueueName): Promise<void> {
    await Promise.all(this.workersOf(name).map((worker) => worker.pause(true)));
  }

  async resume(name: QueueName): Promise<void> {
    await Promise.all(this.workersOf(name).map((worker) => worker.resume()));
  }

  /** The first step of a stop; doing it again changes nothing. */
  letGo(): void {
    if (this.hasLetGo) return;
    this.hasLetGo = true;
    this.stopping.emit();
  }

  async onModuleDestroy(): Promise<void> {
    this.letGo();
    const late = Promise.withResolvers<'late'>();
    const timer = setTimeout(() => late.resolve('late'), CLOSE_TIMEOUT_MS);
    const outcome = await Promise.race([this.drain(), late.promise]);
    clearTimeout(timer);
    if (outcome !== 'late') return;
    this.logger.warn(`jobs still ran ${CLOSE_TIMEOUT_MS / 1000} s after the stop; they are delivered again`);
    await Promise.all(this.workers().map((worker) => worker.close(true)));
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all(this.queues().map((queue) => queue.close()));
    await this.connection.close();
  }

  private watch(worker: Worker): void {
    worker.on('error', logSeldom(this.logger, `worker ${worker.name}`));
    worker.on('failed', (job: Job | undefined, error: Error) => {
      this.logger.warn(`job ${worker.name}/${job?.name ?? '?'} failed: ${error.message}`);
    });
  }

  private workers(): readonly Worker[] {
    return !this.started ? [] : this.processors.all().map(({ host }) => host.worker as Worker);
  }

  private workersOf(name: QueueName): readonly Worker[] {
    return this.workers().filter((worker) => worker.name === name);
  }

  private queues(): readonly Queue[] {
    return QUEUE_NAMES.map((name) => this.moduleRef.get<Queue>(getQueueToken(name), { strict: false }));
  }
}
