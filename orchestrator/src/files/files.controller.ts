import { Controller, Delete, Get, HttpCode, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import {
  ApiBody,
  type ApiBodyOptions,
  ApiConsumes,
  ApiOperation,
  ApiResponse,
  ApiTags,
} from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Caller, CurrentProject } from '../auth/caller.js';
import { readFileUpload } from '../common/multipart.js';
import { type Page, pageOf } from '../common/pagination.js';
import { parseWire } from '../common/schema-error.js';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { BLOB_RANGE_RESPONSE, BLOB_RESPONSE, sendBlob } from '../storage/blob-reply.js';
import { BlobsService } from '../storage/blobs.service.js';
import { OncePerKey } from '../idempotency/once-per-key.js';
import { Subjects } from '../idempotency/subjects.js';
import { presentFile } from './file.presenter.js';
import {
  createFileFields,
  deletedFileSchema,
  type DeletedFile,
  FILE_PURPOSES,
  type FileObject,
  fileSchema,
  listFilesQuery,
  type ListFilesQuery,
} from './file.schema.js';
import { FilesService } from './files.service.js';

const CREATE_BODY: ApiBodyOptions = {
  schema: {
    type: 'object',
    required: ['file', 'purpose'],
    properties: {
      file: { type: 'string', format: 'binary', description: 'The content; its filename becomes the name.' },
      purpose: { type: 'string', enum: [...FILE_PURPOSES] },
      'expires_after[anchor]': { type: 'string', enum: ['created_at'] },
      'expires_after[seconds]': { type: 'integer', minimum: 3_600, maximum: 2_592_000 },
    },
  },
};

@ApiTags('Files')
@Controller('files')
export class FilesController {
  constructor(
    private readonly files: FilesService,
    private readonly blobs: BlobsService,
    @Inject(ENV) private readonly env: Env,
    subjects: Subjects,
  ) {
    subjects.set('file-', async ({ projectId, id }) => presentFile(await this.files.get(projectId, id)));
  }

  @Post()
  @OncePerKey('file-')
  @HttpCode(200)
  @ApiOperation({ summary: 'Upload a file' })
  @ApiConsumes('multipart/form-data')
  @ApiBody(CREATE_BODY)
  @ApiResponse({ status: 200, standardSchema: fileSchema })
  async create(@CurrentProject() caller: Caller, @Req() request: FastifyRequest): Promise<FileObject> {
    const maxBytes = this.env.MAX_FILE_BYTES;
    return this.blobs.within(caller.projectId, async (writer) => {
      const { fields, file } = await readFileUpload(request, {
        fileField: 'file',
        maxFileBytes: maxBytes,
        store: (content) => writer.write(content, { maxBytes }),
      });
      const { purpose, expires_after: expiresAfter } = parseWire(createFileFields, fields);
      const created = await this.files.createFromBlob(caller.projectId, {
        filename: file.fileName,
        purpose,
        blob: file.stored,
        expiresSeconds: expiresAfter?.seconds,
      });
      return presentFile(created);
    });
  }

  @Get()
  @ApiOperation({ summary: 'List files' })
  @ApiResponse({ status: 200, standardSchema: pageOf(fileSchema) })
  list(
    @CurrentProject() caller: Caller,
    @Query({ schema: listFilesQuery }) query: ListFilesQuery,
  ): Promise<Page<FileObject>> {
    return this.files.list(caller.projectId, query);
  }

  @Get(':file_id')
  @ApiOperation({ summary: 'Retrieve a file; container files by their cfile_ id too' })
  @ApiResponse({ status: 200, standardSchema: fileSchema })
  async retrieve(@CurrentProject() caller: Caller, @Param('file_id') id: string): Promise<FileObject> {
    return presentFile(await this.files.get(caller.projectId, id));
  }

  @Delete(':file_id')
  @ApiOperation({ summary: 'Delete a file' })
  @ApiResponse({ status: 200, standardSchema: deletedFileSchema })
  remove(@CurrentProject() caller: Caller, @Param('file_id') id: string): Promise<DeletedFile> {
    return this.files.remove(caller.projectId, id);
  }

  @Get(':file_id/content')
  @ApiOperation({ summary: 'Download a file; container files by their cfile_ id too' })
  @ApiResponse(BLOB_RESPONSE)
  @ApiResponse(BLOB_RANGE_RESPONSE)
  async content(
    @CurrentProject() caller: Caller,
    @Param('file_id') id: string,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const file = await this.files.get(caller.projectId, id);
    const download = { fileName: file.filename, bytes: file.bytes, sha256: file.blobSha256 };
    await sendBlob(request, reply, download, (range) => this.files.read(file, range));
  }
}
