import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post, Query, Req } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { type Caller, CurrentProject } from '../auth/caller.js';
import { type Page, pageOf, type PageQuery } from '../common/pagination.js';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import {
  type CreateLinkRequest,
  createLinkSchema,
  type DeletedLink,
  deletedLinkSchema,
  linkSchema,
  listLinksQuery,
  type LinkObject,
} from './link.schema.js';
import { LinksService } from './links.service.js';

@ApiTags('Links')
@Controller('files/:file_id/links')
export class LinksController {
  constructor(
    private readonly links: LinksService,
    @Inject(ENV) private readonly env: Env,
  ) {}

  @Post()
  @HttpCode(200)
  @ApiOperation({
    summary: 'Create a link that opens a file without a key; container files by their cfile_ id too',
  })
  @ApiResponse({ status: 200, standardSchema: linkSchema })
  create(
    @CurrentProject() caller: Caller,
    @Param('file_id') fileId: string,
    @Body({ schema: createLinkSchema }) body: CreateLinkRequest,
    @Req() request: FastifyRequest,
  ): Promise<LinkObject> {
    const base = this.env.PUBLIC_URL ?? `${request.protocol}://${request.host}`;
    return this.links.create(caller.projectId, fileId, body, base);
  }

  @Get()
  @ApiOperation({ summary: 'List the links of a file that work' })
  @ApiResponse({ status: 200, standardSchema: pageOf(linkSchema) })
  list(
    @CurrentProject() caller: Caller,
    @Param('file_id') fileId: string,
    @Query({ schema: listLinksQuery }) query: PageQuery,
  ): Promise<Page<LinkObject>> {
    return this.links.list(caller.projectId, fileId, query);
  }

  @Delete(':link_id')
  @ApiOperation({ summary: 'Revoke a link' })
  @ApiResponse({ status: 200, standardSchema: deletedLinkSchema })
  revoke(
    @CurrentProject() caller: Caller,
    @Param('file_id') fileId: string,
    @Param('link_id') id: string,
  ): Promise<DeletedLink> {
    return this.links.revoke(caller.projectId, fileId, id);
  }
}
