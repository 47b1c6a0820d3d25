import { Module } from '@nestjs/common';
import { ContainersModule } from '../containers/containers.module.js';
import { ConversationsModule } from '../conversations/conversations.module.js';
import { ResponsesModule } from '../responses/responses.module.js';
import { WebhooksModule } from '../webhooks/webhooks.module.js';
import { FilesModule } from '../files/files.module.js';
import { LinksModule } from '../links/links.module.js';
import { UploadsModule } from '../uploads/uploads.module.js';
import { ProjectRemovalRepository } from './project-removal.repository.js';
import { ProjectRemoval } from './project-removal.service.js';
import { RetentionProcessor } from './retention.processor.js';
import { RetentionService } from './retention.service.js';

@Module({
  imports: [
    ContainersModule,
    ConversationsModule,
    FilesModule,
    LinksModule,
    ResponsesModule,
    UploadsModule,
    WebhooksModule,
  ],
  providers: [RetentionService, ProjectRemovalRepository, ProjectRemoval, RetentionProcessor],
  exports: [RetentionService, ProjectRemoval],
})
export class RetentionModule {}
