import { Controller, Delete, Get, HttpCode, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiBody, ApiConsumes, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { type Caller, CurrentProject } from '../auth/caller.js';
import { ApiError } from '../common/api-error.js';
import { readMultipart } from '../common/multipart.js';
import { type Page, pageQuery, pageOf } from '../common/pagination.js';
import { parseWire } from '../common/schema-error.js';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { BLOB_RANGE_RESPONSE, BLOB_RESPONSE, sendBlob } from '../storage/blob-reply.js';
import { BlobsService, type BlobWriter } from '../storage/blobs.service.js';
import { OncePerKey } from '../idempotency/once-per-key.js';
import { Subjects } from '../idempotency/subjects.js';
import {
  addFileByIdSchema,
  type ContainerFileObject,
  containerFileSchema,
  deletedContainerFileSchema,
} from './container.schema.js';
import { ContainerFilesService } from './container-files.service.js';
import type { ContainerRow } from './containers.service.js';
import { presentContainerFile } from './container.presenter.js';
import { ContainersService } from './containers.service.js';
import { baseName } from './path-allocator.js';

const listQuery = pageQuery();

/** Container files (docs/contract/container-files.md). Every call refreshes the container's idle clock. */
@ApiTags('Container files')
@ApiBearerAuth()
@Controller('containers/:container_id/files')
export class ContainerFilesController {
  constructor(
    private readonly containers: ContainersService,
    private readonly files: ContainerFilesService,
    private readonly blobs: BlobsService,
    @Inject(ENV) private readonly env: Env,
    subjects: Subjects,
  ) {
    subjects.set('cfile_', ({ projectId, id, params }) => this.show(projectId, params['container_id']!, id));
  }

  /** One path, three bodies: a file, JSON with a file id, or the old clients' text part with one. */
  @Post()
  @OncePerKey('cfile_')
  @HttpCode(200)
  @ApiOperation({ summary: 'Add a file to a container' })
  @ApiConsumes('multipart/form-data', 'application/json')
  @ApiBody({
    schema: {
      type: 'object',
      properties: { file: { type: 'string', format: 'binary' }, file_id: { type: 'string' } },
    },
  })
  @ApiResponse({ status: 200, standardSchema: containerFileSchema })
  async create(
    @CurrentProject() caller: Caller,
    @Param('container_id') containerId: string,
    @Req() request: FastifyRequest,
  ): Promise<ContainerFileObject> {
    const container = await this.containers.use(caller.projectId, containerId);
    if (request.isMultipart()) return presentContainerFile(await this.fromMultipart(container, request));
    const { file_id: fileId } = parseWire(addFileByIdSchema, request.body ?? {});
    return presentContainerFile(await this.files.addFile(container, fileId));
  }

  @Get()
  @ApiOperation({ summary: 'List the files of a container' })
  @ApiResponse({ status: 200, standardSchema: pageOf(containerFileSchema) })
  async list(
    @CurrentProject() caller: Caller,
    @Param('container_id') containerId: string,
    @Query({ schema: listQuery }) query: z.output<typeof listQuery>,
  ): Promise<Page<ContainerFileObject>> {
    return this.files.list(await this.containers.use(caller.projectId, containerId), query);
  }

  @Get(':file_id')
  @ApiOperation({ summary: 'Retrieve a container file' })
  @ApiResponse({ status: 200, standardSchema: containerFileSchema })
  async retrieve(
    @CurrentProject() caller: Caller,
    @Param('container_id') containerId: string,
    @Param('file_id') fileId: string,
  ): Promise<ContainerFileObject> {
    return this.show(caller.projectId, containerId, fileId);
  }

  @Get(':file_id/content')
  @ApiOperation({ summary: 'Download a container file' })
  @ApiResponse(BLOB_RESPONSE)
  @ApiResponse(BLOB_RANGE_RESPONSE)
  async content(
    @CurrentProject() caller: Caller,
    @Param('container_id') containerId: string,
    @Param('file_id') fileId: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const container = await this.containers.use(caller.projectId, containerId);
    const file = await this.files.get(container, fileId);
    const download = { fileName: baseName(file.path), bytes: Number(file.bytes), sha256: file.blobSha256 };
    await sendBlob(request, reply, download, (range) => this.files.open(file, range));
  }

  @Delete(':file_id')
  @ApiOperation({ summary: 'Delete a container file' })
  @ApiResponse({ status: 200, standardSchema: deletedContainerFileSchema })
  async delete(
    @CurrentProject() caller: Caller,
    @Param('container_id') containerId: string,
    @Param('file_id') fileId: string,
  ) {
    const container = await this.containers.use(caller.projectId, containerId);
    await this.files.delete(container, fileId);
    return { id: fileId, object: 'container.file.deleted' as const, deleted: true as const };
  }

  private async show(projectId: string, containerId: string, fileId: string): Promise<ContainerFileObject> {
    const container = await this.containers.use(projectId, containerId);
    return presentContainerFile(await this.files.get(container, fileId));
  }

  private async fromMultipart(container: ContainerRow, request: FastifyRequest) {
    return this.blobs.within(container.projectId, (writer) =>
      this.storeMultipart(container, request, writer),
    );
  }

  private async storeMultipart(container: ContainerRow, request: FastifyRequest, writer: BlobWriter) {
    const maxBytes = Math.min(this.env.MAX_FILE_BYTES, this.env.SANDBOX_DATA_BYTES);
    const form = await readMultipart(request, {
      fileField: 'file',
      maxFileBytes: maxBytes,
      store: (content) => writer.write(content, { maxBytes }),
    });
    const { file_id: fileId, ...others } = form.fields;
    const unknown = Object.keys(others)[0];
    if (unknown !== undefined)
      throw new ApiError('unknown_parameter', `Unknown parameter: '${unknown}'.`, { param: unknown });
    if (form.file && fileId !== undefined) {
      throw new ApiError('mutually_exclusive_parameters', "Send either 'file' or 'file_id', not both.");
    }
    if (form.file) {
      return this.files.addContent(container, { filename: form.file.fileName, ...form.file.stored });
    }
    if (fileId === undefined) {
      throw new ApiError(
        'missing_required_parameter',
        "Missing required parameter: 'file' (the content) or 'file_id' (an uploaded file).",
        { param: 'file' },
      );
    }
    return this.files.addFile(container, parseWire(addFileByIdSchema, { file_id: fileId }).file_id);
  }
}
