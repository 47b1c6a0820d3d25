import { Body, Controller, HttpCode, Param, Post, Req } from '@nestjs/common';
import {
  ApiBody,
  type ApiBodyOptions,
  ApiConsumes,
  ApiOperation,
  ApiResponse,
  ApiTags,
} from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { type Caller, CurrentProject } from '../auth/caller.js';
import { readFileUpload } from '../common/multipart.js';
import { parseWire } from '../common/schema-error.js';
import { BlobsService } from '../storage/blobs.service.js';
import { OncePerKey } from '../idempotency/once-per-key.js';
import { Subjects } from '../idempotency/subjects.js';
import {
  type CompleteUploadRequest,
  completeUploadSchema,
  type CreateUploadRequest,
  createUploadSchema,
  partFields,
  type UploadObject,
  type UploadPartObject,
  uploadPartSchema,
  uploadSchema,
} from './upload.schema.js';
import { MAX_PART_BYTES, UploadsService } from './uploads.service.js';

const PART_BODY: ApiBodyOptions = {
  schema: {
    type: 'object',
    required: ['data'],
    properties: { data: { type: 'string', format: 'binary', description: 'At most 64 MiB of the file.' } },
  },
};

@ApiTags('Uploads')
@Controller('uploads')
export class UploadsController {
  constructor(
    private readonly uploads: UploadsService,
    private readonly blobs: BlobsService,
    subjects: Subjects,
  ) {
    subjects.set('upload_', ({ projectId, id, params }) =>
      params['upload_id'] === undefined
        ? this.uploads.retrieve(projectId, id)
        : this.uploads.retrieveCompleted(projectId, id),
    );
    subjects.set('part_', ({ projectId, id, params }) =>
      this.uploads.retrievePart(projectId, params['upload_id']!, id),
    );
  }

  @Post()
  @OncePerKey('upload_')
  @HttpCode(200)
  @ApiOperation({ summary: 'Begin an upload in parts' })
  @ApiResponse({ status: 200, standardSchema: uploadSchema })
  create(
    @CurrentProject() caller: Caller,
    @Body({ schema: createUploadSchema }) body: CreateUploadRequest,
  ): Promise<UploadObject> {
    return this.uploads.create(caller.projectId, body);
  }

  @Post(':upload_id/parts')
  @OncePerKey('part_')
  @HttpCode(200)
  @ApiOperation({ summary: 'Add a part to an upload' })
  @ApiConsumes('multipart/form-data')
  @ApiBody(PART_BODY)
  @ApiResponse({ status: 200, standardSchema: uploadPartSchema })
  async addPart(
    @CurrentProject() caller: Caller,
    @Param('upload_id') id: string,
    @Req() request: FastifyRequest,
  ): Promise<UploadPartObject> {
    await this.uploads.requireOpen(caller.projectId, id);
    return this.blobs.within(caller.projectId, async (writer) => {
      const { fields, file } = await readFileUpload(request, {
        fileField: 'data',
        maxFileBytes: MAX_PART_BYTES,
        store: (content) => writer.write(content, { maxBytes: MAX_PART_BYTES }),
      });
      parseWire(partFields, fields);
      return this.uploads.addPart(caller.projectId, id, file.stored);
    });
  }

  @Post(':upload_id/complete')
  @OncePerKey('upload_')
  @HttpCode(200)
  @ApiOperation({ summary: 'Join the parts of an upload into a file' })
  @ApiResponse({ status: 200, standardSchema: uploadSchema })
  complete(
    @CurrentProject() caller: Caller,
    @Param('upload_id') id: string,
    @Body({ schema: completeUploadSchema }) body: CompleteUploadRequest,
  ): Promise<UploadObject> {
    return this.uploads.complete(caller.projectId, id, body);
  }

  @Post(':upload_id/cancel')
  @HttpCode(200)
  @ApiOperation({ summary: 'Give up an upload' })
  @ApiResponse({ status: 200, standardSchema: uploadSchema })
  cancel(@CurrentProject() caller: Caller, @Param('upload_id') id: string): Promise<UploadObject> {
    return this.uploads.cancel(caller.projectId, id);
  }
}
