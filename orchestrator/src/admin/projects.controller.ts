import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import type { z } from 'zod';
import { AdminOnly } from '../auth/caller.js';
import { type Page, type PageQuery, pageOf } from '../common/pagination.js';
import {
  createKeySchema,
  type CreateProjectRequest,
  createProjectSchema,
  deletedKeySchema,
  deletedProjectSchema,
  deleteProjectQuery,
  type KeyObject,
  listQuery,
  type NewKeyObject,
  newKeySchema,
  type ProjectObject,
  projectSchema,
  type UpdateProjectRequest,
  updateProjectSchema,
  keySchema,
} from './project.schema.js';
import { ProjectsService } from './projects.service.js';

@ApiTags('Admin: projects')
@ApiBearerAuth()
@AdminOnly()
@Controller('admin/v1/projects')
export class ProjectsController {
  constructor(private readonly projects: ProjectsService) {}

  @Post()
  @HttpCode(200)
  @ApiOperation({ summary: 'Create a project' })
  @ApiResponse({ status: 200, standardSchema: projectSchema })
  create(@Body({ schema: createProjectSchema }) body: CreateProjectRequest): Promise<ProjectObject> {
    return this.projects.create(body);
  }

  @Get()
  @ApiOperation({ summary: 'List projects' })
  @ApiResponse({ status: 200, standardSchema: pageOf(projectSchema) })
  list(@Query({ schema: listQuery }) query: PageQuery): Promise<Page<ProjectObject>> {
    return this.projects.list(query);
  }

  @Get(':project_id')
  @ApiOperation({ summary: 'Retrieve a project' })
  @ApiResponse({ status: 200, standardSchema: projectSchema })
  retrieve(@Param('project_id') id: string): Promise<ProjectObject> {
    return this.projects.retrieve(id);
  }

  @Post(':project_id')
  @HttpCode(200)
  @ApiOperation({ summary: 'Rename, suspend or resume a project, or change its memory pool' })
  @ApiResponse({ status: 200, standardSchema: projectSchema })
  update(
    @Param('project_id') id: string,
    @Body({ schema: updateProjectSchema }) body: UpdateProjectRequest,
  ): Promise<ProjectObject> {
    return this.projects.update(id, body);
  }

  @Delete(':project_id')
  @ApiOperation({ summary: 'Delete a project: an empty one, or with force=true any' })
  @ApiResponse({ status: 200, standardSchema: deletedProjectSchema })
  @ApiResponse({
    status: 202,
    description: 'It is gone for everybody; much that it held is still being removed.',
    standardSchema: deletedProjectSchema,
  })
  async remove(
    @Param('project_id') id: string,
    @Query({ schema: deleteProjectQuery }) query: z.output<typeof deleteProjectQuery>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const isDone = await this.projects.remove(id, query.force ?? false);
    void reply.status(isDone ? 200 : 202);
    return { id, object: 'project.deleted' as const, deleted: true as const };
  }

  @Post(':project_id/api_keys')
  @HttpCode(200)
  @ApiOperation({ summary: 'Create a key; its secret is in this reply and nowhere else' })
  @ApiResponse({ status: 200, standardSchema: newKeySchema })
  createKey(
    @Param('project_id') id: string,
    @Body({ schema: createKeySchema }) body: z.output<typeof createKeySchema>,
  ): Promise<NewKeyObject> {
    return this.projects.createKey(id, body.name);
  }

  @Get(':project_id/api_keys')
  @ApiOperation({ summary: 'List keys, revoked ones too' })
  @ApiResponse({ status: 200, standardSchema: pageOf(keySchema) })
  listKeys(
    @Param('project_id') id: string,
    @Query({ schema: listQuery }) query: PageQuery,
  ): Promise<Page<KeyObject>> {
    return this.projects.listKeys(id, query);
  }

  @Delete(':project_id/api_keys/:key_id')
  @ApiOperation({ summary: 'Revoke a key; it is refused at once' })
  @ApiResponse({ status: 200, standardSchema: deletedKeySchema })
  async revokeKey(@Param('project_id') projectId: string, @Param('key_id') id: string) {
    await this.projects.revokeKey(projectId, id);
    return { id, object: 'project.api_key.deleted' as const, deleted: true as const };
  }
}
