import { Module } from '@nestjs/common';
import { WebhookEndpointRepository } from './endpoints/webhook-endpoint.repository.js';
import {
  WebhookEndpointsController,
  WebhookEventTypesController,
} from './endpoints/webhook-endpoints.controller.js';
import { WebhookEndpointsService } from './endpoints/webhook-endpoints.service.js';
import { SigningSecrets } from './signing/signing-secrets.js';
import { WebhookTargets } from './target/target.service.js';

@Module({
  controllers: [WebhookEndpointsController, WebhookEventTypesController],
  providers: [WebhookEndpointRepository, WebhookEndpointsService, SigningSecrets, WebhookTargets],
  exports: [WebhookTargets],
})
export class WebhooksModule {}
