/**
 * Brings what code wrote under /mnt/data into the blob store, so that it outlives the sandbox.
 *
 * One file that cannot be stored is named in the report and never stands in the way of the others. An
 * import has limits in bytes and in time; what goes beyond them is in the report as well.
 */
import { Inject, Injectable, Logger } from '@nestjs/common';
import { ApiError } from '../common/api-error.js';
import { newId } from '../common/ids.js';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { type FileChange, type FileEntry, type Sandbox, SandboxError } from '../sandboxes/sandbox.driver.js';
import { BlobsService } from '../storage/blobs.service.js';
import {
  ContainerFileRepository,
  type ContainerFileRow,
  type ImportTarget,
  type NewContainerFile,
} from './container-file.repository.js';
import { Persistence } from './persistence.js';

export interface ImportedFile {
  readonly row: ContainerFileRow;
  readonly change: FileChange['change'];
}

/** Why a file was not stored. `later`: it is worth trying again when the container is used next. */
export type LeftReason = 'changing' | 'no_room' | 'over_quota' | 'storage_full' | 'out_of_time' | 'failed';
const LATER: ReadonlySet<LeftReason> = new Set([
  'changing',
  'over_quota',
  'storage_full',
  'out_of_time',
  'failed',
]);

export interface LeftFile {
  readonly path: string;
  readonly reason: LeftReason;
}

export interface ImportReport {
  readonly files: readonly ImportedFile[];
  readonly left: readonly LeftFile[];
}

export const isWorthAnotherTry = (report: ImportReport): boolean =>
  report.left.some(({ reason }) => LATER.has(reason));

/** Files copied out at the same time. */
const PARALLEL = 4;
/** Files per statement that writes their rows. */
const ROWS = 64;
/** Gone again, or no file any more: nothing is missing. */
const VANISHED: ReadonlySet<string> = new Set(['not_found', 'not_a_file', 'invalid_path']);

type Fetched =
  | { readonly change: FileChange; readonly file: NewContainerFile }
  | { readonly left: LeftFile }
  | null;

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
    const room = new Room(this.env.SANDBOX_DATA_BYTES, rows, gone);
    const left: LeftFile[] = [];
    const fetched: { change: FileChange; file: NewContainerFile }[] = [];
    const flush = async () => {
      const batch = fetched.splice(0);
      if (batch.length > 0) files.push(...(await this.record(target, batch)));
    };
    const written = changes.filter(({ change }) => change !== 'deleted');
    try {
      for (let start = 0; start < written.length; start += PARALLEL) {
        const batch = written.slice(start, start + PARALLEL);
        const results = await Promise.allSettled(
          batch.map((change) => this.fetch(target, sandbox, change, room, deadline)),
        );
        for (const result of results) {
          if (result.status === 'rejected') continue;
          if (result.value && 'left' in result.value) left.push(result.value.left);
          else if (result.value) fetched.push(result.value);
        }
        const failure = results.find((result) => result.status === 'rejected');
        if (failure) throw failure.reason;
        if (fetched.length >= ROWS) await flush();
      }
    } finally {
      // Also when the sandbox ended half-way: what was copied out is kept.
      await flush();
    }
    return { files, left };
  }

  /** Copies one file out; says why when it could not. Rejects only when nothing more can be copied. */
  private async fetch(
    target: ImportTarget,
    sandbox: Sandbox,
    change: FileChange,
    room: Room,
    deadline: number,
  ): Promise<Fetched> {
    const leave = (reason: LeftReason): Fetched => ({ left: { path: change.path, reason } });
    if (Date.now() >= deadline) return leave('out_of_time');
    if (!room.take(change)) return leave('no_room');
    try {
      const blob = await this.persistence.untilStored(() => this.copy(sandbox, change, deadline));
      const file = {
        id: newId.containerFile(),
        containerId: target.id,
        projectId: target.projectId,
        path: change.path,
        bytes: BigInt(blob.bytes),
        blobSha256: blob.sha256,
        mtimeMs: BigInt(Math.floor(change.modifiedAtMs)),
        source: 'assistant' as const,
      };
      return { change, file };
    } catch (error) {
      room.giveBack(change);
      if (error instanceof SandboxError && error.code === 'gone') throw error;
      if (error instanceof SandboxError && VANISHED.has(error.code)) return null;
      const reason = reasonOf(error, Date.now() >= deadline);
      this.logger.warn({ err: error, containerId: target.id, reason }, 'a file could not be stored');
      return leave(reason);
    }
  }

  private async copy(
    sandbox: Sandbox,
    change: FileEntry,
    deadline: number,
  ): Promise<{ sha256: string; bytes: number }> {
    const { content } = await sandbox.getFile(change.path);
    const late = setTimeout(
      () => content.destroy(new OutOfTime('the time for storing files is over')),
      Math.max(1, deadline - Date.now()),
    );
    try {
      return await this.blobs.write(content);
    } finally {
      clearTimeout(late);
    }
  }

  private async record(
    target: ImportTarget,
    batch: readonly { readonly change: FileChange; readonly file: NewContainerFile }[],
  ): Promise<ImportedFile[]> {
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
  if (error instanceof SandboxError) return 'changing';
  return 'failed';
}

/**
 * Bytes that the container may still keep: no more than go back into a fresh sandbox. A file that never was in
 * this one (a figure that the full disk had no room for) does not count.
 */
class Room {
  private readonly known: Map<string, number>;
  private free: number;

  constructor(dataBytes: number, rows: readonly ContainerFileRow[], gone: readonly string[]) {
    const inside = rows.filter(({ mtimeMs }) => mtimeMs !== null);
    this.known = new Map(inside.map((row) => [row.path, Number(row.bytes)]));
    for (const path of gone) this.known.delete(path);
    this.free = [...this.known.values()].reduce((left, bytes) => left - bytes, dataBytes);
  }

  take({ path, bytes }: FileEntry): boolean {
    const more = bytes - (this.known.get(path) ?? 0);
    // A file that shrank, or stays as large, always fits: that is how a container gets below the limit again.
    if (more > 0 && more > this.free) return false;
    this.free -= more;
    return true;
  }

  giveBack({ path, bytes }: FileEntry): void {
    this.free += bytes - (this.known.get(path) ?? 0);
  }
}

function differences(
  rows: readonly ContainerFileRow[],
  entries: readonly FileEntry[],
  truncated: boolean,
): FileChange[] {
  const known = new Map(rows.map((row) => [row.path, row]));
  const changes: FileChange[] = [];
  for (const entry of entries) {
    const row = known.get(entry.path);
    if (row && isSame(row, entry)) continue;
    changes.push({ ...entry, change: row ? 'modified' : 'created' });
  }
  if (truncated) return changes;
  const present = new Set(entries.map(({ path }) => path));
  for (const { path, mtimeMs } of rows) {
    // A row without a time was never copied in; the binding does that next.
    if (!present.has(path) && mtimeMs !== null)
      changes.push({ path, bytes: 0, modifiedAtMs: 0, change: 'deleted' });
  }
  return changes;
}

function isSame(row: ContainerFileRow, entry: FileEntry): boolean {
  return (
    Number(row.bytes) === entry.bytes &&
    row.mtimeMs !== null &&
    Number(row.mtimeMs) === Math.floor(entry.modifiedAtMs)
  );
}
