/**
 * Brings what code wrote under /mnt/data into the blob store, so that it outlives the sandbox.
 *
 * One file that cannot be stored is named in the report and never stands in the way of the others. An
 * import has limits in bytes and in time; what goes beyond them is in the report as well.
 */
import { Inject, Injectable, Logger } from '@nestjs/common';
import type { Readable } from 'node:stream';
import { ApiError } from '../common/api-error.js';
import { newId } from '../common/ids.js';
import { merged } from '../common/merged.js';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { type FileChange, type FileEntry, type Sandbox, SandboxError } from '../sandboxes/sandbox.driver.js';
import type { BlobInfo } from '../storage/blob.store.js';
import { BlobsService } from '../storage/blobs.service.js';
import { StorageBudget, type StorageGrant } from '../storage/storage-budget.js';
import {
  ContainerFileRepository,
  type ContainerFileRow,
  type ImportTarget,
  type NewContainerFile,
} from './container-file.repository.js';
import {
  differences,
  type LeftFile,
  type LeftReason,
  LATER,
  type Linked,
  planImport,
} from './import-plan.js';
import { Persistence } from './persistence.js';

export type { LeftFile } from './import-plan.js';

export interface ImportedFile {
  readonly row: ContainerFileRow;
  readonly change: FileChange['change'];
}

export interface ImportReport {
  readonly files: readonly ImportedFile[];
  readonly left: readonly LeftFile[];
}

export const isWorthAnotherTry = (report: ImportReport): boolean =>
  report.left.some(({ reason }) => LATER.has(reason));

/** Files copied out at the same time, each over a connection of its own. */
const LANES = 4;
/** Files per statement that writes their rows. */
const ROWS = 64;
/** Gone again, or no file any more: nothing is missing. */
const VANISHED: ReadonlySet<string> = new Set(['not_found', 'not_a_file', 'invalid_path']);

interface ImportLimits {
  /** Milliseconds since the epoch. */
  readonly deadline: number;
  readonly grant: StorageGrant;
}

interface Fetched {
  readonly change: FileChange;
  readonly file: NewContainerFile;
}

type FetchResult = { readonly fetched: readonly Fetched[] } | { readonly left: readonly LeftFile[] };

@Injectable()
export class FileImporter {
  private readonly logger = new Logger(FileImporter.name);

  constructor(
    private readonly files: ContainerFileRepository,
    private readonly blobs: BlobsService,
    private readonly persistence: Persistence,
    private readonly budget: StorageBudget,
    @Inject(ENV) private readonly env: Env,
  ) {}

  /**
   * Applies the change report of one execution within `limitMs` milliseconds. Waits for a database that is
   * away. Rejects with `gone` when the sandbox ends meanwhile; what was stored by then stays.
   */
  async importChanges(
    target: ImportTarget,
    sandbox: Sandbox,
    changes: readonly FileChange[],
    limitMs: number,
  ): Promise<ImportReport> {
    if (changes.length === 0) return { files: [], left: [] };
    const rows = await this.persistence.untilStored(() => this.files.all(target.id));
    return this.apply(target, sandbox, changes, rows, limitMs);
  }

  /**
   * Compares the sandbox with the records and imports every difference: after a crash of the server, and
   * whenever a report is not to be relied on.
   */
  async importAll(target: ImportTarget, sandbox: Sandbox, limitMs: number): Promise<ImportReport> {
    const { entries, truncated } = await sandbox.listFiles();
    const rows = await this.persistence.untilStored(() => this.files.all(target.id));
    const changes = differences(rows, entries, truncated);
    if (changes.length === 0) return { files: [], left: [] };
    return this.apply(target, sandbox, changes, rows, limitMs);
  }

  private async apply(
    target: ImportTarget,
    sandbox: Sandbox,
    changes: readonly FileChange[],
    rows: readonly ContainerFileRow[],
    limitMs: number,
  ): Promise<ImportReport> {
    const deadline = Date.now() + limitMs;
    const gone = changes.filter(({ change }) => change === 'deleted').map(({ path }) => path);
    const files = await this.persistence.untilStored(() => this.markDeleted(target, gone));
    const fetched: Fetched[] = [];
    const flush = async () => {
      const batch = fetched.splice(0);
      if (batch.length > 0) files.push(...(await this.record(target, batch)));
    };
    const written = changes.filter(({ change }) => change !== 'deleted');
    const plan = planImport(written, rows, gone, this.env.SANDBOX_DATA_BYTES);
    const { groups } = plan;
    const left = [...plan.left];
    const grant = this.budget.open(target.projectId);
    const lanes = Array.from({ length: Math.min(LANES, groups.length) }, (_, lane) =>
      this.fetch(
        target,
        sandbox,
        groups.filter((_group, index) => index % LANES === lane),
        { deadline, grant },
      ),
    );
    try {
      for await (const result of merged(lanes)) {
        if ('left' in result) left.push(...result.left);
        else fetched.push(...result.fetched);
        if (fetched.length >= ROWS) await flush();
      }
    } finally {
      // Also when the sandbox ended half-way: what was copied out is kept.
      await flush().finally(() => grant.release());
    }
    return { files: inOrderOf(changes, files), left };
  }

  /**
   * Copies files out one after the other, each content once, whatever the number of its names. Says of each why
   * it could not be stored; rejects only when nothing more can be copied.
   */
  private async *fetch(
    target: ImportTarget,
    sandbox: Sandbox,
    groups: readonly Linked[],
    { deadline, grant }: ImportLimits,
  ): AsyncGenerator<FetchResult> {
    const options = { maxBytes: this.env.SANDBOX_DATA_BYTES };
    let next = 0;
    for await (const opened of sandbox.getFiles(
      groups.map(([first]) => first.path),
      options,
    )) {
      const group = groups[next]!;
      next += 1;
      const leave = (reason: LeftReason) => ({
        left: group.map(({ path }: FileChange) => ({ path, reason })),
      });
      if (Date.now() >= deadline) {
        if ('content' in opened) opened.content.destroy();
        yield leave('out_of_time');
        continue;
      }
      try {
        if ('error' in opened) throw opened.error;
        await this.take(grant, group, opened);
        const blob = await this.keep(sandbox, opened, deadline);
        yield { fetched: group.map((change) => ({ change, file: newFile(target, change, blob) })) };
      } catch (error) {
        if (error instanceof SandboxError && error.code === 'gone') throw error;
        if (error instanceof SandboxError && VANISHED.has(error.code)) continue;
        const reason = reasonOf(error, Date.now() >= deadline);
        this.logger.warn({ err: error, containerId: target.id, reason }, 'a file could not be stored');
        yield leave(reason);
      }
    }
  }

  /** Each name of a content counts. The room of what it replaces is not known here, and free afterwards. */
  private async take(
    grant: StorageGrant,
    group: Linked,
    { entry, content }: { readonly entry: FileEntry; readonly content: Readable },
  ): Promise<void> {
    try {
      await this.persistence.untilStored(() => grant.take(entry.bytes * group.length));
    } catch (error) {
      content.destroy();
      throw error;
    }
  }

  /** Content can be read once: when the database is away while it is registered, the file is opened anew. */
  private async keep(
    sandbox: Sandbox,
    { path, content }: { readonly path: string; readonly content: Readable },
    deadline: number,
  ): Promise<BlobInfo> {
    let unread: Readable | null = content;
    return this.persistence.untilStored(async () => {
      const bytes = unread ?? (await sandbox.getFile(path)).content;
      unread = null;
      const tooLate = () => bytes.destroy(new OutOfTime('the time for storing files is over'));
      const late = setTimeout(tooLate, Math.max(1, deadline - Date.now()));
      try {
        return await this.blobs.write(bytes);
      } finally {
        clearTimeout(late);
      }
    });
  }

  private async record(target: ImportTarget, batch: readonly Fetched[]): Promise<ImportedFile[]> {
    const rows = await this.persistence.untilStored(() =>
      this.files.upsertMany(
        target,
        batch.map(({ file }) => file),
      ),
    );
    const byPath = new Map(rows.map((row) => [row.path, row]));
    return batch.flatMap(({ change: { path, change } }) => {
      const row = byPath.get(path);
      return row ? [{ row, change }] : [];
    });
  }

  private async markDeleted(target: ImportTarget, paths: readonly string[]): Promise<ImportedFile[]> {
    if (paths.length === 0) return [];
    const rows = (await this.files.byPaths(target.id, paths)).filter((row) => row.deletedAt === null);
    await this.files.markDeleted(
      target.id,
      rows.map((row) => row.id),
    );
    return rows.map((row) => ({ row, change: 'deleted' as const }));
  }
}

class OutOfTime extends Error {}

function reasonOf(error: unknown, isLate: boolean): LeftReason {
  if (error instanceof OutOfTime || isLate) return 'out_of_time';
  if (error instanceof ApiError && error.code === 'storage_full') return 'storage_full';
  if (error instanceof ApiError && error.code === 'storage_quota_exceeded') return 'over_quota';
  if (error instanceof SandboxError) return error.code === 'too_large' ? 'no_room' : 'changing';
  return 'failed';
}

const newFile = (target: ImportTarget, change: FileChange, blob: BlobInfo): NewContainerFile => ({
  id: newId.containerFile(),
  containerId: target.id,
  projectId: target.projectId,
  path: change.path,
  bytes: BigInt(blob.bytes),
  blobSha256: blob.sha256,
  mtimeMs: BigInt(Math.floor(change.modifiedAtMs)),
  source: 'assistant',
});

function inOrderOf(changes: readonly FileChange[], files: readonly ImportedFile[]): ImportedFile[] {
  const place = new Map(changes.map(({ path }, index) => [path, index]));
  return files.toSorted((a, b) => (place.get(a.row.path) ?? 0) - (place.get(b.row.path) ?? 0));
}
