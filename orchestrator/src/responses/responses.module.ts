import { Module } from '@nestjs/common';
import { WebhooksModule } from '../webhooks/webhooks.module.js';
import { ContainersModule } from '../containers/containers.module.js';
import { FilesModule } from '../files/files.module.js';
import { LlmModule } from '../llm/llm.module.js';
import { BackgroundProcessor } from './background/background.processor.js';
import { BackgroundService } from './background/background.service.js';
import { EventLogRepository } from './record/event-log.repository.js';
import { EventStream } from './background/event-stream.js';
import { LiveEvents } from './background/live-events.js';
import { CompactService } from './compaction/compact.service.js';
import { CompactionSeal } from './context/compaction-seal.js';
import { ContextService } from './context/context.service.js';
import { InlineContents } from './context/inline-contents.js';
import { InputFiles } from './context/input-files.js';
import { PromptWriter } from './context/prompt-writer.js';
import { InputTokensService } from './input-tokens.service.js';
import { ItemsService } from './items.service.js';
import { ResponseEndRepository } from './record/response-end.repository.js';
import { ResponseLeaseRepository } from './record/response-lease.repository.js';
import { ResponsePresenter } from './response.presenter.js';
import { ResponseRepository } from './record/response.repository.js';
import { ResponseRecorder } from './record/response-recorder.js';
import { ResponsesController } from './responses.controller.js';
import { ResponsesService } from './responses.service.js';
import { RunFactory } from './run/run-factory.js';
import { WaitingRuns } from './run/waiting-runs.js';
import { OldResponses } from './record/old-responses.repository.js';
import { StoredResponseUsage } from './record/response-usage.repository.js';
import { ResponseUsage } from './response-usage.lookup.js';

@Module({
  imports: [ContainersModule, FilesModule, LlmModule, WebhooksModule],
  controllers: [ResponsesController],
  exports: [OldResponses, ResponseUsage, ItemsService],
  providers: [
    OldResponses,
    { provide: ResponseUsage, useClass: StoredResponseUsage },
    ResponsesService,
    ResponseEndRepository,
    ResponseLeaseRepository,
    WaitingRuns,
    ResponseRepository,
    ResponseRecorder,
    ResponsePresenter,
    ContextService,
    InlineContents,
    InputFiles,
    PromptWriter,
    InputTokensService,
    CompactService,
    CompactionSeal,
    RunFactory,
    ItemsService,
    BackgroundService,
    BackgroundProcessor,
    EventLogRepository,
    EventStream,
    LiveEvents,
  ],
})
export class ResponsesModule {}
