import { Module } from '@nestjs/common';
import { DeliveriesService } from './deliveries/deliveries.service.js';
import { DeliveryRepository } from './deliveries/delivery.repository.js';
import { DeliveryLogService } from './deliveries/delivery-log.service.js';
import { DeliverySecrets } from './deliveries/delivery-secrets.js';
import { WebhookSender } from './deliveries/webhook-sender.js';
import { EndpointTestService } from './endpoints/endpoint-test.service.js';
import { WebhookEndpointRepository } from './endpoints/webhook-endpoint.repository.js';
import {
  WebhookEndpointsController,
  WebhookEventTypesController,
} from './endpoints/webhook-endpoints.controller.js';
import { WebhookEndpointsService } from './endpoints/webhook-endpoints.service.js';
import { SigningSecrets } from './signing/signing-secrets.js';
import { WebhookTargets } from './target/target.service.js';
import { WebhooksProcessor } from './webhooks.processor.js';
import { OldDeliveries } from './deliveries/old-deliveries.repository.js';

@Module({
  controllers: [WebhookEndpointsController, WebhookEventTypesController],
  providers: [
    OldDeliveries,
    WebhookEndpointRepository,
    WebhookEndpointsService,
    EndpointTestService,
    SigningSecrets,
    WebhookTargets,
    DeliveryRepository,
    DeliverySecrets,
    WebhookSender,
    DeliveriesService,
    DeliveryLogService,
    WebhooksProcessor,
  ],
  exports: [OldDeliveries, WebhookTargets, DeliveryLogService],
})
export class WebhooksModule {}
