import { Inject, Injectable, Logger } from '@nestjs/common';
import { ApiError, notFound } from '../common/api-error.js';
import { newId } from '../common/ids.js';
import { outOfBounds } from '../common/schema-error.js';
import { formatBytes, memoryBytes } from '../common/memory-size.js';
import { type Page, type PageQuery, toPage } from '../common/pagination.js';
import { ENV } from '../config/config.module.js';
import type { Env, MemorySize } from '../config/env.schema.js';
import { FilesService } from '../files/files.service.js';
import { ContainerMemory } from './container-memory.js';
import { ContainerRepository, type ContainerRow, type InitialFile } from './container.repository.js';
import { type ContainerObject, IDLE_MINUTES } from './container.schema.js';
import { presentContainer } from './container.presenter.js';
import { isUsable } from './container.state.js';
import { ContainerHolds } from './holds.js';
import { PathAllocator } from './path-allocator.js';
import { BlobsService, isContentGone } from '../storage/blobs.service.js';
import { StorageBudget } from '../storage/storage-budget.js';
import { noteSubject } from '../idempotency/subjects.js';
import { DatabaseClock } from '../database/clock.js';
import { SandboxBindings } from './sandbox-bindings.js';

export type { ContainerRow } from './container.repository.js';

export interface CreateContainer {
  readonly name: string;
  readonly memoryLimit: MemorySize;
  /** 20, or what the operator allows if that is less, where absent. */
  readonly idleMinutes?: number | undefined;
  /** Its JSON path in the request; absent for what the server chose. */
  readonly idleParam?: string;
  readonly fileIds: readonly string[];
  readonly sessionKey?: string | undefined;
  readonly auto: boolean;
  /** JSON path of the file ids in the request, for error messages: `file_ids` or `tools[0].container.file_ids`. */
  readonly fileIdsParam: string;
}

const NOT_ENDED = 'a sandbox could not be ended; the sweep tries again';

/** What an expired container answers to file and execution requests (docs/contract/containers.md). */
export const expired = (status = 404, param: string | null = null): ApiError =>
  new ApiError('container_expired', 'Container is expired.', { status, param });

@Injectable()
export class ContainersService {
  private readonly logger = new Logger(ContainersService.name);

  constructor(
    private readonly containers: ContainerRepository,
    private readonly files: FilesService,
    private readonly bindings: SandboxBindings,
    private readonly memory: ContainerMemory,
    private readonly holds: ContainerHolds,
    private readonly blobs: BlobsService,
    private readonly budget: StorageBudget,
    private readonly clock: DatabaseClock,
    @Inject(ENV) private readonly env: Env,
  ) {}

  /**
   * Makes a record; its sandbox comes with the first execution. With a session key, returns the
   * project's running container of that key if there is one; `file_ids` are the caller's to add then. Rejects
   * with 404 for an unknown file, 400 for files that are too large together or a session whose memory is
   * smaller than asked for (nothing is created), and 429 when the project's memory pool is full.
   */
  async create(projectId: string, request: CreateContainer): Promise<ContainerRow> {
    const idleMinutes = this.idleMinutes(request);
    const files = await this.initialFiles(projectId, request);
    const bytes = BigInt(memoryBytes[request.memoryLimit]);
    const id = newId.container();
    const row = {
      id,
      projectId,
      name: request.name,
      memoryLimit: request.memoryLimit,
      memoryBytes: bytes,
      idleMinutes,
      networkPolicy: { type: 'disabled' },
      sessionKey: request.sessionKey,
      auto: request.auto,
    };
    await noteSubject(id);
    const admission = this.memory.admission(row, this.bindings.busyIds());
    const insert = () => this.containers.insertWithinPool(row, files, admission);
    const total = files.reduce((sum, file) => sum + Number(file.bytes), 0);
    const inserted = total === 0 ? insert() : this.budget.holding(projectId, total, insert);
    const { container, aside, ended } = await inserted.catch((error: unknown) => {
      // One of its files was deleted since it was read.
      if (isContentGone(error)) throw notFound.file(files.map((file) => file.fileId).join(', '), 'file_ids');
      throw error;
    });
    this.bindings.putAside(aside);
    for (const each of ended) await this.letGo(each.id, each.sandboxId);
    if (container.id !== id && container.memoryBytes < bytes) throw smallerSession(container, request);
    return container;
  }

  /**
   * Says that somebody works with this container between executions, so that it does not give way to others.
   * Call the returned function once, when that is over.
   */
  hold(id: string): () => void {
    return this.holds.hold(id);
  }

  /** The container as it is, expired ones too; refreshes the idle clock (docs/contract/containers.md). */
  async retrieve(projectId: string, id: string): Promise<ContainerObject> {
    const row = (await this.containers.touch(projectId, id)) ?? (await this.find(projectId, id));
    return presentContainer(row, this.clock.now());
  }

  /** Any container of the project that was not deleted, or 404. Does not refresh. */
  async find(projectId: string, id: string): Promise<ContainerRow> {
    const row = await this.containers.find(projectId, id);
    if (!row) throw notFound.container(id);
    return row;
  }

  /** A container that can be used now; refreshes its idle clock, else {@link expired}. */
  async use(projectId: string, id: string): Promise<ContainerRow> {
    const row = await this.containers.touch(projectId, id);
    if (row) return row;
    await this.find(projectId, id);
    throw expired();
  }

  /** The container if it can be used now, else null; does not refresh. */
  async findUsable(projectId: string, id: string): Promise<ContainerRow | null> {
    const row = await this.containers.find(projectId, id);
    return row && isUsable(row, this.clock.now()) ? row : null;
  }

  /** One of the project that was not deleted, expired ones too, or null; does not refresh. */
  async lookUp(projectId: string, id: string): Promise<ContainerRow | null> {
    return this.containers.find(projectId, id);
  }

  /** Throws 429 when a container of this size would not fit in the project's pool at this moment. */
  async checkRoom(projectId: string, size: MemorySize): Promise<void> {
    const row = { projectId, memoryBytes: BigInt(memoryBytes[size]), memoryLimit: size };
    await this.memory.check(row, this.bindings.busyIds());
  }

  async list(
    projectId: string,
    query: PageQuery & { name?: string | undefined },
  ): Promise<Page<ContainerObject>> {
    const after = query.after === undefined ? undefined : await this.containers.find(projectId, query.after);
    if (query.after !== undefined && !after) throw notFound.cursor();
    const rows = await this.containers.list({
      projectId,
      afterSeq: after?.seq,
      limit: query.limit + 1,
      order: query.order,
      name: query.name,
    });
    const now = this.clock.now();
    return toPage(rows, query.limit, (row) => presentContainer(row, now));
  }

  /** Ends it at once, running code included; its files can no longer be reached. */
  async delete(projectId: string, id: string): Promise<void> {
    const row = await this.find(projectId, id);
    if (!(await this.containers.markDeleted(row.id))) throw notFound.container(id);
    await this.letGo(row.id, row.sandboxId);
    await this.blobs.freeUnused();
  }

  /**
   * What idling does, at once: the memory is free and variables are lost, files stay as with any expired
   * container. Code that runs comes to its end first. Again does nothing.
   */
  async expire(projectId: string, id: string): Promise<ContainerObject> {
    const row = await this.find(projectId, id);
    if ((await this.containers.markExpired(row.id)) || row.sandboxId !== null) {
      try {
        await this.bindings.retire(row.id, row.sandboxId);
      } catch (error) {
        this.logger.warn({ err: error, containerId: id }, NOT_ENDED);
      }
    }
    return presentContainer(await this.find(projectId, id), this.clock.now());
  }

  /** Ends the sandbox of a container that has ended; one that the engine keeps is left to the sweep. */
  private async letGo(id: string, sandboxId: string | null): Promise<void> {
    try {
      await this.bindings.release(id, sandboxId);
    } catch (error) {
      this.logger.warn({ err: error, containerId: id }, NOT_ENDED);
    }
  }

  /** Rejects with 400 above CONTAINER_MAX_IDLE_MINUTES. */
  private idleMinutes({ idleMinutes, idleParam }: CreateContainer): number {
    const most = this.env.CONTAINER_MAX_IDLE_MINUTES;
    if (idleMinutes === undefined) return Math.min(IDLE_MINUTES, most);
    if (idleParam !== undefined && idleMinutes > most) throw outOfBounds(idleParam, idleMinutes, most);
    return idleMinutes;
  }

  private async initialFiles(projectId: string, request: CreateContainer): Promise<InitialFile[]> {
    const paths = new PathAllocator();
    const unique = [...new Set(request.fileIds)];
    const files: InitialFile[] = [];
    let total = 0;
    for (const fileId of unique) {
      const file = await this.files.get(projectId, fileId, request.fileIdsParam);
      total += file.bytes;
      files.push({
        id: newId.containerFile(),
        path: paths.take(file.filename),
        bytes: BigInt(file.bytes),
        blobSha256: file.blobSha256,
        fileId,
      });
    }
    if (total > this.env.SANDBOX_DATA_BYTES) throw tooMuch(total, this.env.SANDBOX_DATA_BYTES, request);
    return files;
  }
}

const smallerSession = (container: ContainerRow, { sessionKey, memoryLimit }: CreateContainer): ApiError =>
  new ApiError(
    'invalid_value',
    `The container of session_key '${sessionKey}' is running with a memory_limit of ${container.memoryLimit}, and ${memoryLimit} was asked for. Leave memory_limit out to use it, delete container '${container.id}' first, or choose another session_key.`,
    { param: 'memory_limit' },
  );

const tooMuch = (bytes: number, most: number, { fileIdsParam }: CreateContainer): ApiError =>
  new ApiError(
    'container_disk_full',
    `The files hold ${formatBytes(bytes)} together, and /mnt/data of a container holds ${formatBytes(most)}. Send fewer or smaller files.`,
    { param: fileIdsParam },
  );
