import { createHash } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { ApiError, notFound } from '../common/api-error.js';
import { safeFileName } from '../common/file-name.js';
import { newId } from '../common/ids.js';
import { addSeconds, toUnix } from '../common/time.js';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { FilesService, type StoredFile } from '../files/files.service.js';
import type { BlobInfo } from '../storage/blob.store.js';
import { BlobsService, type BlobWriter } from '../storage/blobs.service.js';
import { DatabaseClock } from '../database/clock.js';
import { noteSubject } from '../idempotency/subjects.js';
import { type UploadPartRow, UploadRepository, type UploadRow } from './upload.repository.js';
import {
  type CompleteUploadRequest,
  type CreateUploadRequest,
  MAX_PARTS,
  type UploadObject,
  type UploadPartObject,
} from './upload.schema.js';
import { isOpen, stateAt, type UploadState } from './upload.state.js';

/** An upload must be completed within an hour. */
const LIFETIME_SECONDS = 3_600;
/** Largest part, in bytes. */
export const MAX_PART_BYTES = 64 * 1024 * 1024;
const ID = /^[A-Za-z0-9_-]{1,64}$/;

function present(
  row: UploadRow,
  status: UploadState,
  file: StoredFile | null,
  files: FilesService,
): UploadObject {
  return {
    id: row.id,
    object: 'upload',
    bytes: Number(row.bytes),
    created_at: toUnix(row.createdAt),
    expires_at: toUnix(row.expiresAt),
    filename: row.filename,
    purpose: row.purpose,
    status,
    file: file && files.present(file),
  };
}

const presentPart = (part: Pick<UploadPartRow, 'id' | 'createdAt' | 'uploadId'>): UploadPartObject => ({
  id: part.id,
  object: 'upload.part',
  created_at: toUnix(part.createdAt),
  upload_id: part.uploadId,
});

const closed = (id: string, state: UploadState): ApiError =>
  new ApiError('invalid_upload', `Upload '${id}' is ${state}; only a pending upload can be changed.`);

/** Files that arrive in parts. Foreign and unknown uploads look the same: 404. */
@Injectable()
export class UploadsService {
  constructor(
    private readonly uploads: UploadRepository,
    private readonly files: FilesService,
    private readonly blobs: BlobsService,
    private readonly clock: DatabaseClock,
    @Inject(ENV) private readonly env: Env,
  ) {}

  async create(projectId: string, request: CreateUploadRequest): Promise<UploadObject> {
    const max = this.env.MAX_UPLOAD_BYTES;
    if (request.bytes > max) {
      throw new ApiError(
        'integer_above_max_value',
        `Invalid 'bytes': integer above maximum value. Expected a value <= ${max}, but got ${request.bytes} instead.`,
        { param: 'bytes' },
      );
    }
    const [id, createdAt] = [newId.upload(), this.clock.now()];
    await noteSubject(id);
    const row = await this.uploads.insert({
      id,
      projectId,
      filename: safeFileName(request.filename),
      purpose: request.purpose,
      mimeType: request.mime_type.replaceAll('\0', ''),
      bytes: BigInt(request.bytes),
      createdAt,
      expiresAt: addSeconds(createdAt, LIFETIME_SECONDS),
      fileExpiresSeconds: request.expires_after?.seconds ?? null,
    });
    return present(row, 'pending', null, this.files);
  }

  /** Throws unless the upload takes parts; asked before a part's body is read. */
  async requireOpen(projectId: string, id: string): Promise<void> {
    await this.findOpen(projectId, id);
  }

  async addPart(projectId: string, id: string, blob: BlobInfo): Promise<UploadPartObject> {
    const part = {
      id: newId.uploadPart(),
      uploadId: id,
      projectId,
      bytes: BigInt(blob.bytes),
      blobSha256: blob.sha256,
      createdAt: this.clock.now(),
    };
    await noteSubject(part.id);
    const added = await this.uploads.addPart(part, ({ bytes, count }) => {
      if (count >= MAX_PARTS) {
        throw new ApiError('invalid_upload', `Upload '${id}' has ${count} parts already; no more are taken.`);
      }
      if (bytes + part.bytes > BigInt(this.env.MAX_UPLOAD_BYTES)) {
        throw new ApiError(
          'file_too_large',
          `The parts of upload '${id}' would exceed the ${this.env.MAX_UPLOAD_BYTES} bytes this server accepts.`,
          { param: 'data' },
        );
      }
    });
    if (!added) await this.refuse(projectId, id);
    return presentPart(part);
  }

  async retrieve(projectId: string, id: string): Promise<UploadObject> {
    const upload = await this.find(projectId, id);
    const file = upload.fileId === null ? null : await this.files.get(projectId, upload.fileId);
    return present(upload, stateAt(upload, this.clock.now()), file, this.files);
  }

  /** 404 unless it was completed. */
  async retrieveCompleted(projectId: string, id: string): Promise<UploadObject> {
    const upload = await this.retrieve(projectId, id);
    if (upload.status !== 'completed') throw notFound.upload(id);
    return upload;
  }

  /** 404 unless the upload, of which it is a part, is open. */
  async retrievePart(projectId: string, uploadId: string, id: string): Promise<UploadPartObject> {
    const upload = await this.findOpen(projectId, uploadId);
    const part = (await this.uploads.parts(upload.id)).find((each) => each.id === id);
    if (!part) throw notFound.upload(uploadId);
    return presentPart(part);
  }

  /** Joins the parts into a file. Of two that complete the same upload one is refused. */
  async complete(projectId: string, id: string, request: CompleteUploadRequest): Promise<UploadObject> {
    const upload = await this.findOpen(projectId, id);
    const parts = inOrder(request.part_ids, await this.uploads.parts(id));
    checkSum(upload, parts);
    await noteSubject(id);
    // The parts count until the file takes their place, so the file needs no room of its own.
    const completed = await this.blobs.within(null, async (writer) => {
      const draft = this.files.draft(projectId, {
        filename: upload.filename,
        purpose: upload.purpose,
        blob: await this.join(writer, parts, request.md5),
        expiresSeconds: upload.fileExpiresSeconds ?? undefined,
      });
      if (!(await this.uploads.complete(id, draft))) await this.refuse(projectId, id);
      return present(upload, 'completed', draft, this.files);
    });
    await this.blobs.freeUnused();
    return completed;
  }

  async cancel(projectId: string, id: string): Promise<UploadObject> {
    const upload = await this.findOpen(projectId, id);
    if (!(await this.uploads.cancel(id, this.clock.now()))) await this.refuse(projectId, id);
    await this.blobs.freeUnused();
    return present(upload, 'cancelled', null, this.files);
  }

  /** Closes uploads whose hour is over; what they held is removed. Called by retention. */
  async expireDue(now = this.clock.now()): Promise<number> {
    const count = await this.uploads.expireDue(now);
    if (count > 0) await this.blobs.freeUnused();
    return count;
  }

  private async find(projectId: string, id: string): Promise<UploadRow> {
    const upload = ID.test(id) ? await this.uploads.find(projectId, id) : null;
    if (!upload) throw notFound.upload(id);
    return upload;
  }

  private async findOpen(projectId: string, id: string): Promise<UploadRow> {
    const upload = await this.find(projectId, id);
    const state = stateAt(upload, this.clock.now());
    if (!isOpen(state)) throw closed(id, state);
    return upload;
  }

  /** Says why a step that lost a race was refused. */
  private async refuse(projectId: string, id: string): Promise<never> {
    throw closed(id, stateAt(await this.find(projectId, id), this.clock.now()));
  }

  /** A single part is the file already, unless its checksum has to be computed. */
  private async join(
    writer: BlobWriter,
    parts: readonly UploadPartRow[],
    md5: string | undefined,
  ): Promise<BlobInfo> {
    const [only] = parts;
    if (parts.length === 1 && md5 === undefined)
      return { sha256: only!.blobSha256, bytes: Number(only!.bytes) };
    const hash = createHash('md5');
    const tap = md5 === undefined ? undefined : (chunk: Buffer) => void hash.update(chunk);
    const sha256s = parts.map((part) => part.blobSha256);
    const blob = await writer.write(this.blobs.concat(sha256s, tap));
    if (md5 !== undefined && hash.digest('hex') !== md5.toLowerCase()) {
      throw new ApiError(
        'invalid_value',
        "Invalid 'md5': it is not the checksum of the parts in this order.",
        {
          param: 'md5',
        },
      );
    }
    return blob;
  }
}

/** The parts as `ids` lists them; each must be of this upload and may be used once. */
function inOrder(ids: readonly string[], parts: readonly UploadPartRow[]): UploadPartRow[] {
  const byId = new Map(parts.map((part) => [part.id, part]));
  const used = new Set<string>();
  return ids.map((id, index) => {
    const param = `part_ids[${index}]`;
    const part = byId.get(id);
    if (!part) {
      const shown = id.length > 64 ? `${id.slice(0, 61)}...` : id;
      throw new ApiError('invalid_value', `Invalid '${param}': this upload has no part '${shown}'.`, {
        param,
      });
    }
    if (used.has(id)) {
      throw new ApiError('invalid_value', `Invalid '${param}': part '${id}' is listed twice.`, { param });
    }
    used.add(id);
    return part;
  });
}

function checkSum(upload: UploadRow, parts: readonly UploadPartRow[]): void {
  const total = parts.reduce((sum, part) => sum + part.bytes, 0n);
  if (total === upload.bytes) return;
  throw new ApiError(
    'invalid_upload',
    `The parts add up to ${total} bytes, but the upload was created with ${upload.bytes} bytes.`,
    { param: 'part_ids' },
  );
}
