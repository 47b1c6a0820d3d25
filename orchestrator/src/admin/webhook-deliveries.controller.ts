import { Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { AdminOnly } from '../auth/caller.js';
import { type Page, pageOf } from '../common/pagination.js';
import {
  type DeliveryObject,
  deliverySchema,
  type DeliveryWithAttempts,
  deliveryWithAttemptsSchema,
  type ListDeliveriesQuery,
  listDeliveriesQuery,
} from '../webhooks/deliveries/delivery.schema.js';
import { DeliveryLogService } from '../webhooks/deliveries/delivery-log.service.js';

@ApiTags('Admin: webhook deliveries')
@ApiBearerAuth()
@AdminOnly()
@Controller('admin/v1/webhook_deliveries')
export class WebhookDeliveriesController {
  constructor(private readonly log: DeliveryLogService) {}

  @Get()
  @ApiOperation({ summary: 'List webhook deliveries of all projects' })
  @ApiResponse({ status: 200, standardSchema: pageOf(deliverySchema) })
  list(@Query({ schema: listDeliveriesQuery }) query: ListDeliveriesQuery): Promise<Page<DeliveryObject>> {
    return this.log.list(query);
  }

  @Get(':delivery_id')
  @ApiOperation({ summary: 'Retrieve a webhook delivery with its tries' })
  @ApiResponse({ status: 200, standardSchema: deliveryWithAttemptsSchema })
  retrieve(@Param('delivery_id') id: string): Promise<DeliveryWithAttempts> {
    return this.log.retrieve(id);
  }

  @Post(':delivery_id/redeliver')
  @HttpCode(200)
  @ApiOperation({ summary: 'Send an event again, under the same id' })
  @ApiResponse({ status: 200, standardSchema: deliverySchema })
  redeliver(@Param('delivery_id') id: string): Promise<DeliveryObject> {
    return this.log.redeliver(id);
  }
}
