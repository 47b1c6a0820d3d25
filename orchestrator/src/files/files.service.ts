import { posix } from 'node:path';
import type { Readable } from 'node:stream';
import { Injectable, Optional } from '@nestjs/common';
import { notFound } from '../common/api-error.js';
import { safeFileName } from '../common/file-name.js';
import { newId } from '../common/ids.js';
import { type Page, toPage } from '../common/pagination.js';
import { addSeconds } from '../common/time.js';
import type { BlobInfo, ByteRange } from '../storage/blob.store.js';
import { BlobsService } from '../storage/blobs.service.js';
import { noteSubject } from '../idempotency/subjects.js';
import { DatabaseClock } from '../database/clock.js';
import { ContainerFileLookup, type ContainerFileView } from './container-file.lookup.js';
import { presentFile } from './file.presenter.js';
import { type FileDraft, FileRepository, type FileUse, type StoredFile } from './file.repository.js';
import type { DeletedFile, FileObject, ListFilesQuery } from './file.schema.js';

/** What other features may know of files. */
export type { FileDraft, StoredFile } from './file.repository.js';

/** Batch files are kept for thirty days unless the caller says otherwise. */
const BATCH_LIFETIME_SECONDS = 30 * 24 * 3_600;
/** Everything else is not an id and never reaches the database. */
const ID = /^[A-Za-z0-9_-]{1,64}$/;

/** What files are for that code made. */
const OUTPUT_PURPOSE = 'assistants_output';

/** A container's file as one of the Files API. */
const fromContainer = (file: ContainerFileView): StoredFile => ({
  id: file.id,
  filename: posix.basename(file.path),
  purpose: OUTPUT_PURPOSE,
  bytes: file.bytes,
  createdAt: file.createdAt,
  expiresAt: null,
  blobSha256: file.blobSha256,
});

const defaultLifetime = (purpose: string): number | undefined =>
  purpose === 'batch' ? BATCH_LIFETIME_SECONDS : undefined;

export interface NewFile {
  /** As the client sent it; made safe here. */
  readonly filename: string | undefined;
  /** Checked by the caller's schema. */
  readonly purpose: string;
  readonly blob: BlobInfo;
  /** Seconds from now after which it is gone; absent means the purpose's default. */
  readonly expiresSeconds?: number | undefined;
}

/** Files of a project. What is expired, foreign or unknown is absent: one answer for the three. */
@Injectable()
export class FilesService {
  constructor(
    private readonly files: FileRepository,
    private readonly blobs: BlobsService,
    private readonly clock: DatabaseClock,
    @Optional() private readonly containerFiles?: ContainerFileLookup,
  ) {}

  /**
   * A file by its `file-…` id, or a container's file by its `cfile_…` id. Throws 404 with `param`
   * naming where the id came from.
   */
  async get(projectId: string, id: string, param: string | null = 'id'): Promise<StoredFile> {
    const found = ID.test(id) ? await this.find(projectId, id) : null;
    if (!found) throw notFound.file(id, param);
    return found;
  }

  /** A file and its bytes, or a range of them; the caller reads or destroys the stream. */
  async open(
    projectId: string,
    id: string,
    range?: ByteRange,
  ): Promise<{ file: StoredFile; content: Readable }> {
    const file = await this.get(projectId, id);
    return { file, content: await this.blobs.read(file.blobSha256, range) };
  }

  /** The bytes of a file that `get` returned. */
  read(file: StoredFile, range?: ByteRange): Promise<Readable> {
    return this.blobs.read(file.blobSha256, range);
  }

  /** Makes content that is in the blob store a file of the project. */
  async createFromBlob(projectId: string, file: NewFile): Promise<StoredFile> {
    const draft = this.draft(projectId, file);
    await noteSubject(draft.id);
    await this.files.insert(draft);
    return draft;
  }

  /** The row `createFromBlob` would write, for callers that write it in a transaction of their own. */
  draft(projectId: string, file: NewFile): FileDraft {
    const createdAt = this.clock.now();
    const lifetime = file.expiresSeconds ?? defaultLifetime(file.purpose);
    return {
      id: newId.file(),
      projectId,
      filename: safeFileName(file.filename),
      purpose: file.purpose,
      bytes: file.blob.bytes,
      blobSha256: file.blob.sha256,
      createdAt,
      expiresAt: lifetime === undefined ? null : addSeconds(createdAt, lifetime),
    };
  }

  async list(projectId: string, query: ListFilesQuery): Promise<Page<FileObject>> {
    const { after, limit, order, purpose } = query;
    if (purpose === OUTPUT_PURPOSE) return this.listMade(projectId, query);
    const rows = await this.files.list({
      projectId,
      purpose,
      afterSeq: after === undefined ? undefined : await this.cursor(projectId, after),
      order,
      take: limit + 1,
      now: this.clock.now(),
    });
    return toPage(rows, limit, presentFile);
  }

  /** Files that code made: they are the containers', and are in no other list. */
  private async listMade(projectId: string, query: ListFilesQuery): Promise<Page<FileObject>> {
    const { after, limit, order } = query;
    const { containerFiles } = this;
    const afterSeq = after === undefined ? undefined : await this.cursorOfMade(projectId, after);
    const rows = await containerFiles?.listMade({ projectId, afterSeq, order, take: limit + 1 });
    return toPage((rows ?? []).map(fromContainer), limit, presentFile);
  }

  /** A file as the wire shows it. */
  present(file: StoredFile): FileObject {
    return presentFile(file);
  }

  /** Its content goes with it unless something else refers to it. Container files are deleted through their container only. */
  async remove(projectId: string, id: string): Promise<DeletedFile> {
    const removed = ID.test(id) && (await this.files.remove(projectId, id, this.clock.now()));
    if (!removed) throw notFound.file(id);
    await this.blobs.freeUnused();
    return { id, object: 'file', deleted: true };
  }

  /** How many a project has, expired ones included. */
  count(projectId: string): Promise<number> {
    return this.files.count(projectId);
  }

  /** What projects hold, by project. */
  use(projectIds: readonly string[]): Promise<ReadonlyMap<string, FileUse>> {
    return this.files.use(projectIds);
  }

  /** Deletes files that expired, with their content. Called by retention. */
  async expireDue(now = this.clock.now()): Promise<number> {
    const count = await this.files.removeExpired(now);
    if (count > 0) await this.blobs.freeUnused();
    return count;
  }

  private async find(projectId: string, id: string): Promise<StoredFile | null> {
    return id.startsWith('cfile_')
      ? this.findInContainer(projectId, id)
      : this.files.find(projectId, id, this.clock.now());
  }

  private async findInContainer(projectId: string, id: string): Promise<StoredFile | null> {
    const found = await this.containerFiles?.find(projectId, id);
    return found ? fromContainer(found) : null;
  }

  private async cursorOfMade(projectId: string, after: string): Promise<bigint> {
    const seq = ID.test(after) ? await this.containerFiles?.seqOfMade(projectId, after) : null;
    if ((seq ?? null) === null) throw notFound.cursor();
    return seq!;
  }

  private async cursor(projectId: string, after: string): Promise<bigint> {
    const seq = ID.test(after) ? await this.files.seqOf(projectId, after) : null;
    if (seq === null) throw notFound.cursor();
    return seq;
  }
}
