import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiProduces, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { type Caller, CurrentProject } from '../auth/caller.js';
import { abortOnClose } from '../common/client-gone.js';
import { ApiError } from '../common/api-error.js';
import { type Page, pageQuery, pageOf } from '../common/pagination.js';
import { queryText } from '../common/wire-schema.js';
import { LargeBody } from '../common/route-config.js';
import { sendSse } from '../common/sse.js';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { NewWork } from '../drain/drain.guard.js';
import { CountsAsRun } from '../limits/limits.guard.js';
import { OncePerKey } from '../idempotency/once-per-key.js';
import { Subjects } from '../idempotency/subjects.js';
import { ContainersService } from './containers.service.js';
import { type ExecutionObject, presentExecution } from './execution.presenter.js';
import { executionSchema, type RunCodeRequest, runCodeSchema } from './execution.schema.js';
import { valuesOf } from './execution-inputs.js';
import { ExecutionRecords } from './execution-records.service.js';
import { ExecutionService } from './execution.service.js';
import { executionEvents } from './execution.stream.js';

const listQuery = pageQuery().extend({
  response_id: queryText().optional().meta({ description: 'Only those that this response ran.' }),
});

/** Running given code without a model: an extension of ours. */
@ApiTags('Executions (extension)')
@ApiBearerAuth()
@Controller('containers/:container_id/executions')
export class ExecutionsController {
  constructor(
    private readonly containers: ContainersService,
    private readonly executions: ExecutionService,
    private readonly records: ExecutionRecords,
    @Inject(ENV) private readonly env: Env,
    subjects: Subjects,
  ) {
    subjects.set('exec_', async ({ projectId, id, params }) =>
      this.records.get(await this.containers.find(projectId, params['container_id'] ?? ''), id),
    );
  }

  @Post()
  @NewWork()
  @OncePerKey('exec_')
  @CountsAsRun()
  @LargeBody()
  @HttpCode(200)
  @ApiOperation({ summary: 'Run Python code in a container' })
  @ApiProduces('application/json', 'text/event-stream')
  @ApiResponse({ status: 200, standardSchema: executionSchema })
  async create(
    @CurrentProject() caller: Caller,
    @Param('container_id') containerId: string,
    @Body({ schema: runCodeSchema }) body: RunCodeRequest,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ExecutionObject | undefined> {
    const container = await this.containers.use(caller.projectId, containerId);
    const signal = abortOnClose(request, reply);
    const options = { timeoutMs: body.timeout_ms, values: valuesOf(body), signal };
    if (body.stream) {
      await sendSse(reply, executionEvents(this.executions.run(container, body.code, options)), {
        keepAliveMs: this.env.SSE_KEEPALIVE_MS,
      });
      return undefined;
    }
    const { execution, cause } = await this.executions.runToEnd(container, body.code, options);
    if (cause instanceof ApiError) throw cause;
    return presentExecution(execution);
  }

  @Get()
  @ApiOperation({ summary: 'List the executions of a container' })
  @ApiResponse({ status: 200, standardSchema: pageOf(executionSchema) })
  async list(
    @CurrentProject() caller: Caller,
    @Param('container_id') containerId: string,
    @Query({ schema: listQuery }) query: z.output<typeof listQuery>,
  ): Promise<Page<ExecutionObject>> {
    return this.records.list(await this.containers.find(caller.projectId, containerId), query);
  }

  @Get(':execution_id')
  @ApiOperation({ summary: 'Retrieve an execution' })
  @ApiResponse({ status: 200, standardSchema: executionSchema })
  async retrieve(
    @CurrentProject() caller: Caller,
    @Param('container_id') containerId: string,
    @Param('execution_id') id: string,
  ): Promise<ExecutionObject> {
    return this.records.get(await this.containers.find(caller.projectId, containerId), id);
  }

  @Post(':execution_id/cancel')
  @HttpCode(200)
  @ApiOperation({ summary: 'Interrupt a running execution' })
  @ApiResponse({ status: 200, standardSchema: executionSchema })
  async cancel(
    @CurrentProject() caller: Caller,
    @Param('container_id') containerId: string,
    @Param('execution_id') id: string,
  ): Promise<ExecutionObject> {
    return this.executions.cancel(await this.containers.find(caller.projectId, containerId), id);
  }
}
