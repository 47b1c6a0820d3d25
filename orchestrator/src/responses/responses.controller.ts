import {
  Body,
  Controller,
  Delete,
  Get,
  HttpCode,
  Inject,
  Param,
  Post,
  Query,
  Req,
  Res,
} from '@nestjs/common';
import { ApiBearerAuth, ApiBody, ApiOperation, ApiProduces, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { type Caller, CurrentProject } from '../auth/caller.js';
import { abortOnClose } from '../common/client-gone.js';
import { type Page, pageQuery } from '../common/pagination.js';
import { LargeBody } from '../common/route-config.js';
import { sendSse } from '../common/sse.js';
import { maybe, queryBoolean } from '../common/wire-schema.js';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { NewWork } from '../drain/drain.guard.js';
import { CountsAsRun } from '../limits/limits.guard.js';
import { OncePerKey } from '../idempotency/once-per-key.js';
import { Subjects } from '../idempotency/subjects.js';
import {
  compactedResponseSchema,
  type CompactedResponse,
  type CompactRequest,
  compactSchema,
} from './compaction/compact.schema.js';
import { CompactService } from './compaction/compact.service.js';
import { includeQuery } from './include.schema.js';
import {
  type InputTokensRequest,
  inputTokensResultSchema,
  inputTokensSchema,
} from './input-tokens.schema.js';
import { InputTokensService } from './input-tokens.service.js';
import { createResponseSchema, parseCreateResponse } from './response.schema.js';
import { deletedResponseSchema, itemListSchema, responseObjectSchema } from './response-object.schema.js';
import type { ResponseObject } from './response.types.js';
import { ResponsesService } from './responses.service.js';

const retrieveQuery = z.object({
  include: includeQuery,
  stream: maybe(queryBoolean()),
  starting_after: z.coerce.number().int().optional(),
});
const itemsQuery = pageQuery().extend({ include: includeQuery });

/** The Responses API (docs/contract/responses.md). */
@ApiTags('Responses')
@ApiBearerAuth()
@Controller('responses')
export class ResponsesController {
  constructor(
    private readonly responses: ResponsesService,
    private readonly compactor: CompactService,
    private readonly inputTokens: InputTokensService,
    @Inject(ENV) private readonly env: Env,
    subjects: Subjects,
  ) {
    subjects.set('resp_', ({ projectId, id }) => this.responses.retrieve(projectId, id, []));
  }

  /** One route for JSON and for the stream: the request decides (docs/contract/streaming.md). */
  @Post()
  @NewWork()
  @OncePerKey('resp_')
  @CountsAsRun({ maybeLater: true })
  @LargeBody()
  @HttpCode(200)
  @ApiOperation({ summary: 'Create a response' })
  @ApiBody({ standardSchema: createResponseSchema } as never)
  @ApiProduces('application/json', 'text/event-stream')
  @ApiResponse({ status: 200, standardSchema: responseObjectSchema })
  async create(
    @CurrentProject() caller: Caller,
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ResponseObject | undefined> {
    const parsed = parseCreateResponse(body);
    const signal = abortOnClose(request, reply);
    if (!parsed.stream) return this.responses.createAndWait(caller, parsed, signal);
    const events = await this.responses.create(caller, parsed, signal);
    await sendSse(reply, events, { keepAliveMs: this.env.SSE_KEEPALIVE_MS });
    return undefined;
  }

  @Post('compact')
  @NewWork()
  @CountsAsRun()
  @LargeBody()
  @HttpCode(200)
  @ApiOperation({ summary: 'Compact a conversation: the user’s messages and a summary of the rest' })
  @ApiResponse({ status: 200, standardSchema: compactedResponseSchema })
  async compact(
    @CurrentProject() caller: Caller,
    @Body({ schema: compactSchema }) body: CompactRequest,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<CompactedResponse> {
    return this.compactor.compact(caller.projectId, body, abortOnClose(request, reply));
  }

  @Post('input_tokens')
  @LargeBody()
  @HttpCode(200)
  @ApiOperation({ summary: 'Count the input tokens of a response without making it' })
  @ApiResponse({ status: 200, standardSchema: inputTokensResultSchema })
  async countInputTokens(
    @CurrentProject() caller: Caller,
    @Body({ schema: inputTokensSchema }) body: InputTokensRequest,
  ): Promise<z.output<typeof inputTokensResultSchema>> {
    const input_tokens = await this.inputTokens.count(caller.projectId, body);
    return { object: 'response.input_tokens', input_tokens };
  }

  @Get(':response_id')
  @ApiProduces('application/json', 'text/event-stream')
  @ApiResponse({ status: 200, standardSchema: responseObjectSchema })
  @ApiOperation({ summary: 'Retrieve a response' })
  async retrieve(
    @CurrentProject() caller: Caller,
    @Param('response_id') id: string,
    @Query({ schema: retrieveQuery }) query: z.output<typeof retrieveQuery>,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ResponseObject | undefined> {
    const include = query.include ?? [];
    if (!query.stream) return this.responses.retrieve(caller.projectId, id, include);
    const signal = abortOnClose(request, reply);
    const events = await this.responses.stream(
      caller.projectId,
      id,
      query.starting_after ?? -1,
      include,
      signal,
    );
    await sendSse(reply, events, { keepAliveMs: this.env.SSE_KEEPALIVE_MS });
    return undefined;
  }

  @Post(':response_id/cancel')
  @HttpCode(200)
  @ApiOperation({ summary: 'Cancel a background response' })
  @ApiResponse({ status: 200, standardSchema: responseObjectSchema })
  async cancel(@CurrentProject() caller: Caller, @Param('response_id') id: string): Promise<ResponseObject> {
    return this.responses.cancel(caller.projectId, id);
  }

  @Delete(':response_id')
  @ApiOperation({ summary: 'Delete a response' })
  @ApiResponse({ status: 200, standardSchema: deletedResponseSchema })
  async delete(@CurrentProject() caller: Caller, @Param('response_id') id: string) {
    await this.responses.delete(caller.projectId, id);
    return { id, object: 'response' as const, deleted: true as const };
  }

  @Get(':response_id/input_items')
  @ApiOperation({ summary: 'List the input items of a response' })
  @ApiResponse({ status: 200, standardSchema: itemListSchema })
  async inputItems(
    @CurrentProject() caller: Caller,
    @Param('response_id') id: string,
    @Query({ schema: itemsQuery }) query: z.output<typeof itemsQuery>,
  ): Promise<Page<unknown>> {
    return this.responses.inputItems(caller.projectId, id, { ...query, include: query.include ?? [] });
  }
}
