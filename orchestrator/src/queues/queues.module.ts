import { BullModule } from '@nestjs/bullmq';
import { type DynamicModule, Global, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { JobScheduler } from './job-scheduler.js';
import { Processors } from './processors.js';
import { openQueueConnection, type QueueConnection, type QueuesOptions } from './queue-connection.js';
import { QUEUE_NAMES } from './queue-names.js';
import { QUEUE_CONNECTION, QueuesLifecycle } from './queues.lifecycle.js';
import { Schedules } from './schedules.js';

/** Opens the connection, and with it the schema of the jobs, before the first queue is made. */
@Module({})
class QueueConnectionModule {
  static forRoot(options: QueuesOptions): DynamicModule {
    return {
      module: QueueConnectionModule,
      providers: [{ provide: QUEUE_CONNECTION, useFactory: () => openQueueConnection(options) }],
      exports: [QUEUE_CONNECTION],
    };
  }
}

/**
 * Makes `JobScheduler` injectable everywhere. Import it once, at the root, after `DatabaseModule`.
 * Features only write processors (see `JobProcessor`) and list them as providers.
 */
@Global()
@Module({})
export class QueuesModule {
  static forRoot(options: QueuesOptions): DynamicModule {
    const connection = QueueConnectionModule.forRoot(options);
    return {
      module: QueuesModule,
      imports: [
        DiscoveryModule,
        connection,
        BullModule.forRootAsync({
          imports: [connection],
          inject: [QUEUE_CONNECTION],
          // QueuesLifecycle starts the workers, when everything is in place.
          extraOptions: { manualRegistration: true },
          useFactory: (opened: QueueConnection) => ({ connection: opened.options }),
        }),
        BullModule.registerQueue(...QUEUE_NAMES.map((name) => ({ name }))),
      ],
      providers: [Processors, Schedules, JobScheduler, QueuesLifecycle],
      exports: [JobScheduler, QueuesLifecycle],
    };
  }
}
