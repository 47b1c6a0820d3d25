import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { type Caller, CurrentProject } from '../auth/caller.js';
import { ApiError } from '../common/api-error.js';
import { type Page, pageOf } from '../common/pagination.js';
import { NewWork } from '../drain/drain.guard.js';
import { OncePerKey } from '../idempotency/once-per-key.js';
import { Subjects } from '../idempotency/subjects.js';
import { ContainerFilesService } from './container-files.service.js';
import {
  containerSchema,
  type ContainerObject,
  type CreateContainerRequest,
  createContainerSchema,
  deletedContainerSchema,
  listContainersQuery,
} from './container.schema.js';
import { presentContainer } from './container.presenter.js';
import { ContainersService } from './containers.service.js';

/** The Containers API (docs/contract/containers.md). */
@ApiTags('Containers')
@ApiBearerAuth()
@Controller('containers')
export class ContainersController {
  constructor(
    private readonly containers: ContainersService,
    private readonly files: ContainerFilesService,
    subjects: Subjects,
  ) {
    subjects.set('cntr_', ({ projectId, id }) => this.containers.retrieve(projectId, id));
  }

  @Post()
  @NewWork()
  @OncePerKey('cntr_')
  @HttpCode(200)
  @ApiOperation({ summary: 'Create a container' })
  @ApiResponse({ status: 200, standardSchema: containerSchema })
  async create(
    @CurrentProject() caller: Caller,
    @Body({ schema: createContainerSchema }) body: CreateContainerRequest,
  ): Promise<ContainerObject> {
    if (body.expires_after && body.expire_after) {
      throw new ApiError(
        'mutually_exclusive_parameters',
        "Send either 'expires_after' or its alias 'expire_after', not both.",
      );
    }
    const row = await this.containers.create(caller.projectId, {
      name: body.name,
      memoryLimit: body.memory_limit ?? '1g',
      idleMinutes: (body.expires_after ?? body.expire_after)?.minutes,
      idleParam: body.expire_after ? 'expire_after.minutes' : 'expires_after.minutes',
      fileIds: body.file_ids ?? [],
      fileIdsParam: 'file_ids',
      sessionKey: body.session_key,
      auto: false,
    });
    // The container of a session may have been there; what it holds already is not copied again.
    if (body.session_key !== undefined)
      for (const fileId of body.file_ids ?? []) await this.files.addFile(row, fileId, 'file_ids');
    return presentContainer(row);
  }

  @Get()
  @ApiOperation({ summary: 'List containers' })
  @ApiResponse({ status: 200, standardSchema: pageOf(containerSchema) })
  async list(
    @CurrentProject() caller: Caller,
    @Query({ schema: listContainersQuery }) query: z.output<typeof listContainersQuery>,
  ): Promise<Page<ContainerObject>> {
    return this.containers.list(caller.projectId, query);
  }

  @Get(':container_id')
  @ApiOperation({ summary: 'Retrieve a container' })
  @ApiResponse({ status: 200, standardSchema: containerSchema })
  async retrieve(
    @CurrentProject() caller: Caller,
    @Param('container_id') id: string,
  ): Promise<ContainerObject> {
    return this.containers.retrieve(caller.projectId, id);
  }

  @Post(':container_id/expire')
  @HttpCode(200)
  @ApiOperation({ summary: 'Expire a container now: its memory is freed, its files are kept' })
  @ApiResponse({ status: 200, standardSchema: containerSchema })
  async expire(
    @CurrentProject() caller: Caller,
    @Param('container_id') id: string,
  ): Promise<ContainerObject> {
    return this.containers.expire(caller.projectId, id);
  }

  @Delete(':container_id')
  @ApiOperation({ summary: 'Delete a container' })
  @ApiResponse({ status: 200, standardSchema: deletedContainerSchema })
  async delete(@CurrentProject() caller: Caller, @Param('container_id') id: string) {
    await this.containers.delete(caller.projectId, id);
    return { id, object: 'container.deleted' as const, deleted: true as const };
  }
}
