import { Inject, Injectable } from '@nestjs/common';
import type { Readable } from 'node:stream';
import { ApiError, notFound } from '../common/api-error.js';
import { newId } from '../common/ids.js';
import { noteSubject } from '../idempotency/subjects.js';
import { formatBytes } from '../common/memory-size.js';
import { type Page, type PageQuery, toPage } from '../common/pagination.js';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { FilesService } from '../files/files.service.js';
import { SandboxError } from '../sandboxes/sandbox.driver.js';
import type { ByteRange } from '../storage/blob.store.js';
import { BlobsService, isContentGone } from '../storage/blobs.service.js';
import { StorageBudget, type StorageGrant } from '../storage/storage-budget.js';
import { ContainerFileRepository, type ContainerFileRow } from './container-file.repository.js';
import type { ContainerRow } from './container.repository.js';
import type { ContainerFileObject } from './container.schema.js';
import { presentContainerFile } from './container.presenter.js';
import { plainPath, prefixedPath } from './path-allocator.js';
import { SandboxBindings } from './sandbox-bindings.js';

export type { ContainerFileRow } from './container-file.repository.js';

/** Content that is in the blob store already. */
export interface StoredContent {
  readonly filename: string;
  readonly sha256: string;
  readonly bytes: number;
}

export interface Inherited {
  readonly copies: readonly ContainerFileRow[];
  /** Paths of files for which the project's storage quota has no room. */
  readonly left: readonly string[];
}

/** Takes the bytes if there is room for them. */
async function fits(grant: StorageGrant, bytes: number): Promise<boolean> {
  try {
    await grant.take(bytes);
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.code === 'storage_quota_exceeded') return false;
    throw error;
  }
}

/** Ids of as many as there is room for, small ones first: after one that does not fit nothing has to be asked. */
async function fittingOf(files: readonly ContainerFileRow[], grant: StorageGrant): Promise<Set<string>> {
  const ids = new Set<string>();
  for (const { id, bytes } of files.toSorted((a, b) => Number(a.bytes - b.bytes))) {
    if (!(await fits(grant, Number(bytes)))) break;
    ids.add(id);
  }
  return ids;
}

@Injectable()
export class ContainerFilesService {
  constructor(
    private readonly rows: ContainerFileRepository,
    private readonly files: FilesService,
    private readonly blobs: BlobsService,
    private readonly bindings: SandboxBindings,
    private readonly budget: StorageBudget,
    @Inject(ENV) private readonly env: Env,
  ) {}

  /** Adds uploaded content under its own name, prefixed if the name is taken (docs/contract/container-files.md). */
  async addContent(container: ContainerRow, content: StoredContent): Promise<ContainerFileRow> {
    return this.add(container, content);
  }

  /** Adds content that came with a message, unless it is there: `again` says that it was added once before. */
  async addInput(container: ContainerRow, content: StoredContent, again: boolean): Promise<ContainerFileRow> {
    const [known] = await this.rows.byPaths(container.id, [plainPath(content.filename)]);
    const same = known?.deletedAt === null && (again || known.blobSha256 === content.sha256);
    if (known && same) return known;
    return this.budget.holding(container.projectId, content.bytes, () => this.add(container, content));
  }

  /**
   * Puts the files of a container that is gone into one that was just made, under the same paths. They
   * share content, so this costs rows only; they count for the project like all others.
   */
  async inherit(from: ContainerRow, to: ContainerRow): Promise<Inherited> {
    const [copies, left]: [ContainerFileRow[], string[]] = [[], []];
    const files = await this.rows.all(from.id);
    const grant = this.budget.open(to.projectId);
    try {
      // Rows that were written would count once more beside what the grant holds: they come when all is granted.
      const fitting = await fittingOf(files, grant);
      for (const { id, path, bytes, blobSha256, source, fileId } of files) {
        if (!fitting.has(id)) {
          left.push(path);
          continue;
        }
        const { id: containerId, projectId } = to;
        const file = { path, bytes, blobSha256, source, fileId: fileId ?? undefined };
        const copy = { id: newId.containerFile(), containerId, projectId, ...file };
        const row = await this.rows.insertAtFreePath(copy);
        if (row) copies.push(row);
      }
    } finally {
      grant.release();
    }
    return { copies, left };
  }

  /** Copies a Files API object in; the same one twice gives the same container file. */
  async addFile(container: ContainerRow, fileId: string, param = 'file_id'): Promise<ContainerFileRow> {
    const file = await this.files.get(container.projectId, fileId, param);
    const copy = await this.rows.findCopyOf(container.id, fileId);
    const { filename, blobSha256: sha256, bytes } = file;
    if (copy) return copy;
    const content = { filename, sha256, bytes, fileId };
    return this.budget.holding(container.projectId, bytes, () => this.add(container, content));
  }

  async get(container: ContainerRow, id: string): Promise<ContainerFileRow> {
    const row = await this.rows.find(container.id, id);
    if (!row) throw notFound.containerFile(id);
    return row;
  }

  async open(row: ContainerFileRow, range?: ByteRange): Promise<Readable> {
    return this.blobs.read(row.blobSha256, range);
  }

  /** Every file, for citations. */
  async all(container: ContainerRow): Promise<ContainerFileRow[]> {
    return this.rows.all(container.id);
  }

  async list(container: ContainerRow, query: PageQuery): Promise<Page<ContainerFileObject>> {
    const after = query.after === undefined ? undefined : await this.rows.find(container.id, query.after);
    if (query.after !== undefined && !after) throw notFound.cursor();
    const rows = await this.rows.list({
      containerId: container.id,
      afterSeq: after?.seq,
      limit: query.limit + 1,
      order: query.order,
    });
    return toPage(rows, query.limit, presentContainerFile);
  }

  async delete(container: ContainerRow, id: string): Promise<void> {
    const row = await this.get(container, id);
    await this.bindings.removeFile(container.id, row.path);
    await this.rows.markDeleted(container.id, [row.id]);
    await this.blobs.freeUnused();
  }

  private async add(
    container: ContainerRow,
    content: StoredContent & { fileId?: string },
  ): Promise<ContainerFileRow> {
    await this.checkRoom(container, content.bytes);
    const insert = async (path: string): Promise<ContainerFileRow | null> => {
      // A path keeps its id, also when its file was deleted in between.
      const id = (await this.rows.idOfDeleted(container.id, path)) ?? newId.containerFile();
      await noteSubject(id);
      return this.rows.insertAtFreePath({
        id,
        containerId: container.id,
        projectId: container.projectId,
        path,
        bytes: BigInt(content.bytes),
        blobSha256: content.sha256,
        source: 'user',
        fileId: content.fileId,
      });
    };
    const first = await insert(plainPath(content.filename)).catch((error: unknown) => {
      // The file it is a copy of was deleted since it was read.
      throw isContentGone(error) ? notFound.file(content.fileId ?? content.filename, 'file_id') : error;
    });
    const isIn = first && (await this.copyIn(first, content.bytes));
    if (isIn) return first;
    // The name is taken: by a file of the container, or by a folder that code made.
    for (;;) {
      const row = await insert(prefixedPath(content.filename));
      if (row && (await this.copyIn(row, content.bytes))) return row;
    }
  }

  /** False, with its row gone again, when something else is at its path. */
  private async copyIn(row: ContainerFileRow, bytes: number): Promise<boolean> {
    try {
      await this.bindings.copyIn(row);
      return true;
    } catch (error) {
      await this.rows.markDeleted(row.containerId, [row.id]);
      if (!(error instanceof SandboxError)) throw error;
      if (error.code === 'no_space') throw this.full(bytes);
      if (error.code === 'not_a_file') return false;
      throw new ApiError('invalid_value', `The file cannot be put at '${row.path}'.`, { param: 'file' });
    }
  }

  private async checkRoom(container: ContainerRow, bytes: number): Promise<void> {
    const { bytes: used, count } = await this.rows.totals(container.id);
    if (Number(used) + bytes > this.env.SANDBOX_DATA_BYTES) throw this.full(bytes);
    if (count >= this.env.SANDBOX_MAX_FILES) {
      throw new ApiError(
        'container_disk_full',
        `The container holds ${count} files, which is the most one may hold. Delete some first.`,
        { param: 'file' },
      );
    }
  }

  private full(bytes: number): ApiError {
    return new ApiError(
      'container_disk_full',
      `The file (${formatBytes(bytes)}) does not fit: /mnt/data of a container holds ${formatBytes(this.env.SANDBOX_DATA_BYTES)}. Delete files from the container, or use another one.`,
      { param: 'file' },
    );
  }
}
