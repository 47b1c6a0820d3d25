import { Module } from '@nestjs/common';
import { ContainersModule } from '../containers/containers.module.js';
import { ConversationsModule } from '../conversations/conversations.module.js';
import { FilesModule } from '../files/files.module.js';
import { ResponsesModule } from '../responses/responses.module.js';
import { RetentionModule } from '../retention/retention.module.js';
import { InventoryController } from './inventory.controller.js';
import { InventoryService } from './inventory.service.js';
import { OperationsController } from './operations.controller.js';
import { OperationsService } from './operations.service.js';
import { ProjectContentsService } from './project-contents.js';
import { ProjectRepository } from './project.repository.js';
import { ProjectsController } from './projects.controller.js';
import { ProjectsService } from './projects.service.js';
import { WebhooksModule } from '../webhooks/webhooks.module.js';
import { UsageController } from './usage.controller.js';
import { UsageService } from './usage.service.js';
import { WebhookDeliveriesController } from './webhook-deliveries.controller.js';

/** The operator's side of the server, under `/admin/v1` with a key of its own. */
@Module({
  imports: [
    ContainersModule,
    ConversationsModule,
    FilesModule,
    ResponsesModule,
    RetentionModule,
    WebhooksModule,
  ],
  controllers: [
    ProjectsController,
    InventoryController,
    UsageController,
    OperationsController,
    WebhookDeliveriesController,
  ],
  providers: [
    ProjectRepository,
    ProjectContentsService,
    ProjectsService,
    InventoryService,
    UsageService,
    OperationsService,
  ],
})
export class AdminModule {}
