import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { type Caller, CurrentProject } from '../../auth/caller.js';
import { type Page, pageOf, type PageQuery } from '../../common/pagination.js';
import { EVENT_TYPES } from '../../outbox/event.types.js';
import { EndpointTestService } from './endpoint-test.service.js';
import {
  type CallbackSecretObject,
  callbackSecretSchema,
  type CreateEndpointRequest,
  createEndpointSchema,
  deletedEndpointSchema,
  type EndpointObject,
  endpointSchema,
  type EndpointTestResult,
  endpointTestSchema,
  type EndpointWithSecret,
  endpointWithSecretSchema,
  eventTypesSchema,
  listEndpointsQuery,
  rotateSecretSchema,
  testEndpointSchema,
  type UpdateEndpointRequest,
  updateEndpointSchema,
} from './webhook-endpoint.schema.js';
import { WebhookEndpointsService } from './webhook-endpoints.service.js';

@ApiTags('Webhooks')
@ApiBearerAuth()
@Controller('webhook_endpoints')
export class WebhookEndpointsController {
  constructor(
    private readonly endpoints: WebhookEndpointsService,
    private readonly tests: EndpointTestService,
  ) {}

  @Post()
  @HttpCode(200)
  @ApiOperation({ summary: 'Register a webhook; its secret is in this reply and in no other' })
  @ApiResponse({ status: 200, standardSchema: endpointWithSecretSchema })
  create(
    @CurrentProject() caller: Caller,
    @Body({ schema: createEndpointSchema }) body: CreateEndpointRequest,
  ): Promise<EndpointWithSecret> {
    return this.endpoints.create(caller.projectId, body);
  }

  @Get()
  @ApiOperation({ summary: 'List webhooks' })
  @ApiResponse({ status: 200, standardSchema: pageOf(endpointSchema) })
  list(
    @CurrentProject() caller: Caller,
    @Query({ schema: listEndpointsQuery }) query: PageQuery,
  ): Promise<Page<EndpointObject>> {
    return this.endpoints.list(caller.projectId, query);
  }

  @Get('callback_secret')
  @ApiOperation({ summary: 'Retrieve the secret that signs calls of a callback_url' })
  @ApiResponse({ status: 200, standardSchema: callbackSecretSchema })
  callbackSecret(@CurrentProject() caller: Caller): Promise<CallbackSecretObject> {
    return this.endpoints.callbackSecret(caller.projectId);
  }

  @Post('callback_secret/rotate')
  @HttpCode(200)
  @ApiOperation({ summary: 'Replace the secret that signs calls of a callback_url' })
  @ApiResponse({ status: 200, standardSchema: callbackSecretSchema })
  rotateCallbackSecret(@CurrentProject() caller: Caller): Promise<CallbackSecretObject> {
    return this.endpoints.rotateCallbackSecret(caller.projectId);
  }

  @Get(':webhook_endpoint_id')
  @ApiOperation({ summary: 'Retrieve a webhook' })
  @ApiResponse({ status: 200, standardSchema: endpointSchema })
  retrieve(
    @CurrentProject() caller: Caller,
    @Param('webhook_endpoint_id') id: string,
  ): Promise<EndpointObject> {
    return this.endpoints.retrieve(caller.projectId, id);
  }

  @Post(':webhook_endpoint_id')
  @HttpCode(200)
  @ApiOperation({ summary: 'Change a webhook, disable it or enable it again' })
  @ApiResponse({ status: 200, standardSchema: endpointSchema })
  update(
    @CurrentProject() caller: Caller,
    @Param('webhook_endpoint_id') id: string,
    @Body({ schema: updateEndpointSchema }) body: UpdateEndpointRequest,
  ): Promise<EndpointObject> {
    return this.endpoints.update(caller.projectId, id, body);
  }

  @Delete(':webhook_endpoint_id')
  @ApiOperation({ summary: 'Delete a webhook and what was to be sent to it' })
  @ApiResponse({ status: 200, standardSchema: deletedEndpointSchema })
  async remove(@CurrentProject() caller: Caller, @Param('webhook_endpoint_id') id: string) {
    await this.endpoints.remove(caller.projectId, id);
    return { id, object: 'webhook_endpoint.deleted' as const, deleted: true as const };
  }

  @Post(':webhook_endpoint_id/rotate_secret')
  @HttpCode(200)
  @ApiOperation({ summary: 'Replace the secret of a webhook; the new one is in this reply and in no other' })
  @ApiResponse({ status: 200, standardSchema: endpointWithSecretSchema })
  rotateSecret(
    @CurrentProject() caller: Caller,
    @Param('webhook_endpoint_id') id: string,
    @Body({ schema: rotateSecretSchema }) body: z.output<typeof rotateSecretSchema>,
  ): Promise<EndpointWithSecret> {
    const keepOld = body.keep_old_secret_active_for_24_hours ?? false;
    return this.endpoints.rotateSecret(caller.projectId, id, keepOld);
  }

  @Post(':webhook_endpoint_id/test')
  @HttpCode(200)
  @ApiOperation({ summary: 'Send a made-up event to a webhook, at once' })
  @ApiResponse({ status: 200, standardSchema: endpointTestSchema })
  test(
    @CurrentProject() caller: Caller,
    @Param('webhook_endpoint_id') id: string,
    @Body({ schema: testEndpointSchema }) body: z.output<typeof testEndpointSchema>,
  ): Promise<EndpointTestResult> {
    return this.tests.test(caller.projectId, id, body.event_type);
  }
}

@ApiTags('Webhooks')
@ApiBearerAuth()
@Controller('webhook_event_types')
export class WebhookEventTypesController {
  @Get()
  @ApiOperation({ summary: 'List the events that webhooks are told of' })
  @ApiResponse({ status: 200, standardSchema: eventTypesSchema })
  list(): z.output<typeof eventTypesSchema> {
    return { object: 'list', data: [...EVENT_TYPES] };
  }
}
