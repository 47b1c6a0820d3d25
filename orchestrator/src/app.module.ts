/**
 * Composition root: which rooms the house has. Adapters are chosen in boot.ts (sandboxes),
 * storage/storage.module.ts (blobs) and llm/llm.module.ts (models).
 */
import { type DynamicModule, Module } from '@nestjs/common';
import { AdminModule } from './admin/admin.module.js';
import { AuthModule } from './auth/auth.module.js';
import { ConfigModule } from './config/config.module.js';
import type { Env } from './config/env.schema.js';
import { ContainersModule } from './containers/containers.module.js';
import { ConversationsModule } from './conversations/conversations.module.js';
import { DatabaseModule } from './database/database.module.js';
import { DrainModule } from './drain/drain.module.js';
import { EnvironmentModule } from './environment/environment.module.js';
import { FilesModule } from './files/files.module.js';
import { HealthModule } from './health/health.module.js';
import { IdempotencyModule } from './idempotency/idempotency.module.js';
import { LimitsModule } from './limits/limits.module.js';
import { LinksModule } from './links/links.module.js';
import { LoggingModule } from './observability/logging.module.js';
import { MetricsModule } from './observability/metrics.module.js';
import { ModelsModule } from './models/models.module.js';
import { OutboxModule } from './outbox/outbox.module.js';
import { QueuesModule } from './queues/queues.module.js';
import { ResponsesModule } from './responses/responses.module.js';
import { RetentionModule } from './retention/retention.module.js';
import type { SandboxDriver } from './sandboxes/sandbox.driver.js';
import { SandboxesModule } from './sandboxes/sandboxes.module.js';
import { StorageModule } from './storage/storage.module.js';
import { UploadsModule } from './uploads/uploads.module.js';
import { WebhooksModule } from './webhooks/webhooks.module.js';

export interface AppParts {
  readonly env: Env;
  /** PostgreSQL to use; the caller owns it and stops it after the application. */
  readonly databaseUrl: string;
  readonly blobDir: string;
  readonly driver: SandboxDriver;
}

@Module({})
export class AppModule {
  static forRoot(parts: AppParts): DynamicModule {
    return {
      module: AppModule,
      imports: [
        ConfigModule.forRoot(parts.env),
        LoggingModule.forRoot(parts.env),
        DatabaseModule.forRoot({ url: parts.databaseUrl, poolSize: parts.env.DATABASE_POOL_SIZE }),
        QueuesModule.forRoot({ databaseUrl: parts.databaseUrl, redisUrl: parts.env.REDIS_URL }),
        OutboxModule,
        StorageModule.forRoot({ dir: parts.blobDir }),
        SandboxesModule.forRoot(parts.driver),
        MetricsModule.forRoot(parts.env),
        AuthModule,
        LimitsModule,
        DrainModule,
        IdempotencyModule,
        HealthModule,
        FilesModule,
        LinksModule,
        UploadsModule,
        ContainersModule,
        ModelsModule,
        ResponsesModule,
        ConversationsModule,
        EnvironmentModule,
        WebhooksModule,
        RetentionModule,
        AdminModule,
      ],
    };
  }
}
