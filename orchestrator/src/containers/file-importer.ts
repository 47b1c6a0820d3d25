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
import { type FileChange, type Sandbox, SandboxError } from '../sandboxes/sandbox.driver.js';
import { isDatabaseOutage } from '../common/database-errors.js';
import type { BlobInfo, StagedBlob } from '../storage/blob.store.js';
import { BlobsService, type BlobWriter } from '../storage/blobs.service.js';
import {
  ContainerFileRepository,
  type ContainerFileRow,
  type ImportTarget,
  type NewContainerFile,
  seen,
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
/** Files that are made durable together, and whose rows are one statement. */
const BATCH = 64;
/** Gone again, or no file any more: nothing is missing. */
const VANISHED: ReadonlySet<string> = new Set(['not_found', 'not_a_file', 'invalid_path']);

interface ImportJob {
  readonly target: ImportTarget;
  readonly sandbox: Sandbox;
  readonly writer: BlobWriter;
  /** Milliseconds since the epoch. */
  readonly deadline: number;
  readonly files: ImportedFile[];
  readonly left: LeftFile[];
}

/** Copied out, and not durable yet. */
interface Staged {
  readonly group: Linked;
  readonly blob: StagedBlob;
}

@Injectable()
export class FileImporter {
  private readonly logger = new Logger(FileImporter.name);

  constructor(
    private readonly files: ContainerFileRepository,
    private readonly blobs: BlobsService,
    private readonly persistence: Persistence,
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
    const written = changes.filter(({ change }) => change !== 'deleted');
    const plan = planImport(written, rows, gone, this.env.SANDBOX_DATA_BYTES);
    const left = [...plan.left];
    await this.blobs.within(target.projectId, async (writer) => {
      const job = { target, sandbox, writer, deadline, files, left };
      const staged: Staged[] = [];
      const lanes = Array.from({ length: Math.min(LANES, plan.groups.length) }, (_, lane) =>
        this.stage(
          job,
          plan.groups.filter((_group, index) => index % LANES === lane),
        ),
      );
      try {
        for await (const each of merged(lanes)) {
          staged.push(each);
          if (staged.length >= BATCH) await this.keep(job, staged.splice(0));
        }
      } finally {
        // Also when the sandbox ended half-way: what was copied out is kept.
        await this.keep(job, staged);
      }
    });
    if (files.some(({ change }) => change !== 'created')) void this.blobs.freeUnused();
    return { files: inOrderOf(changes, files), left };
  }

  /**
   * Copies files out one after the other, each content once, whatever the number of its names. Notes of each
   * why it could not be stored; rejects only when nothing more can be copied.
   */
  private async *stage(job: ImportJob, groups: readonly Linked[]): AsyncGenerator<Staged> {
    const paths = groups.map(([first]) => first.path);
    const again: Linked[] = [];
    let next = 0;
    for await (const opened of job.sandbox.getFiles(paths, { maxBytes: this.env.SANDBOX_DATA_BYTES })) {
      const group = groups[next]!;
      next += 1;
      try {
        if ('error' in opened) throw opened.error;
        yield { group, blob: await this.take(job, opened.content) };
      } catch (error) {
        if (error instanceof SandboxError && error.code === 'gone') throw error;
        if (error instanceof SandboxError && VANISHED.has(error.code)) continue;
        if (isDatabaseOutage(error)) again.push(group);
        else this.leave(job, [group], error);
      }
    }
    if (again.length === 0) return;
    await this.untilDatabaseAnswers(job);
    yield* this.stage(job, again);
  }

  private async untilDatabaseAnswers({ target }: ImportJob): Promise<void> {
    await this.persistence.untilStored(() => this.files.byPaths(target.id, []));
  }

  private async take(job: ImportJob, content: Readable): Promise<StagedBlob> {
    const tooLate = () => content.destroy(new OutOfTime('the time for storing files is over'));
    const late = setTimeout(tooLate, Math.max(1, job.deadline - Date.now()));
    try {
      return await job.writer.stage(content);
    } finally {
      clearTimeout(late);
    }
  }

  /**
   * Makes a batch durable and writes its rows. When the database goes away meanwhile, the batch is lost:
   * then it waits, and copies these files out anew.
   */
  private async keep(job: ImportJob, batch: readonly Staged[]): Promise<void> {
    if (batch.length === 0) return;
    const groups = batch.map(({ group }) => group);
    try {
      await job.writer.commit(batch.map(({ blob }) => blob));
      const files = batch.flatMap(({ group, blob }) =>
        group.map((change) => newFile(job.target, change, blob)),
      );
      const rows = await this.files.upsertMany(job.target, files);
      const changes = new Map(groups.flat().map(({ path, change }) => [path, change]));
      job.files.push(...rows.map((row) => ({ row, change: changes.get(row.path)! })));
    } catch (error) {
      if (!isDatabaseOutage(error)) return this.leave(job, groups, error);
      await this.untilDatabaseAnswers(job);
      const again: Staged[] = [];
      for await (const each of this.stage(job, groups)) again.push(each);
      await this.keep(job, again);
    }
  }

  private leave(job: ImportJob, groups: readonly Linked[], error: unknown): void {
    const reason = reasonOf(error, Date.now() >= job.deadline);
    this.logger.warn({ err: error, containerId: job.target.id, reason }, 'files could not be stored');
    job.left.push(...groups.flat().map(({ path }) => ({ path, reason })));
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
  seen: seen(change),
  source: 'assistant',
});

function inOrderOf(changes: readonly FileChange[], files: readonly ImportedFile[]): ImportedFile[] {
  const place = new Map(changes.map(({ path }, index) => [path, index]));
  return files.toSorted((a, b) => (place.get(a.row.path) ?? 0) - (place.get(b.row.path) ?? 0));
}
