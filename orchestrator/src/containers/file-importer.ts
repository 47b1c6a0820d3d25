/** Brings what code wrote under /mnt/data into the blob store, so that it outlives the sandbox. */
import { Injectable, Logger } from '@nestjs/common';
import { newId } from '../common/ids.js';
import { type FileChange, type FileEntry, type Sandbox, SandboxError } from '../sandboxes/sandbox.driver.js';
import { BlobsService } from '../storage/blobs.service.js';
import { ContainerFileRepository, type ContainerFileRow } from './container-file.repository.js';
import type { ContainerRow } from './container.repository.js';

export interface ImportedFile {
  readonly row: ContainerFileRow;
  readonly change: FileChange['change'];
}

/** Files copied out at the same time. */
const PARALLEL = 4;

type Owner = Pick<ContainerRow, 'id' | 'projectId'>;

@Injectable()
export class FileImporter {
  private readonly logger = new Logger(FileImporter.name);

  constructor(
    private readonly files: ContainerFileRepository,
    private readonly blobs: BlobsService,
  ) {}

  /** Applies the change report of one execution. Files that vanished meanwhile are passed over. */
  async importChanges(
    owner: Owner,
    sandbox: Sandbox,
    changes: readonly FileChange[],
  ): Promise<ImportedFile[]> {
    const gone = changes.filter((change) => change.change === 'deleted').map((change) => change.path);
    const imported = await this.markDeleted(owner, gone);
    const written = changes.filter((change) => change.change !== 'deleted');
    for (let start = 0; start < written.length; start += PARALLEL) {
      const batch = written.slice(start, start + PARALLEL);
      const rows = await Promise.all(batch.map((change) => this.importOne(owner, sandbox, change)));
      rows.forEach((row, index) => {
        if (row) imported.push({ row, change: batch[index]!.change });
      });
    }
    return imported;
  }

  /** Compares the sandbox with the records and imports every difference; after a crash of the server. */
  async importAll(owner: Owner, sandbox: Sandbox): Promise<void> {
    const { entries, truncated } = await sandbox.listFiles();
    const rows = await this.files.all(owner.id);
    const known = new Map(rows.map((row) => [row.path, row]));
    const present = new Set(entries.map((entry) => entry.path));
    const changes: FileChange[] = [];
    for (const entry of entries) {
      const row = known.get(entry.path);
      if (row && isSame(row, entry)) continue;
      changes.push({ ...entry, change: row ? 'modified' : 'created' });
    }
    if (!truncated) {
      for (const row of rows) {
        // A row without a time was never copied in; the binding does that next.
        if (!present.has(row.path) && row.mtimeMs !== null)
          changes.push({ path: row.path, bytes: 0, modifiedAtMs: 0, change: 'deleted' });
      }
    }
    await this.importChanges(owner, sandbox, changes);
  }

  private async importOne(
    owner: Owner,
    sandbox: Sandbox,
    change: FileEntry,
  ): Promise<ContainerFileRow | null> {
    try {
      const file = await sandbox.getFile(change.path);
      const blob = await this.blobs.write(file.content);
      return await this.files.upsert({
        id: newId.containerFile(),
        containerId: owner.id,
        projectId: owner.projectId,
        path: change.path,
        bytes: BigInt(blob.bytes),
        blobSha256: blob.sha256,
        mtimeMs: BigInt(Math.floor(change.modifiedAtMs)),
        source: 'assistant',
      });
    } catch (error) {
      if (
        error instanceof SandboxError &&
        (error.code === 'not_found' || error.code === 'not_a_file' || error.code === 'invalid_path')
      ) {
        this.logger.warn({ containerId: owner.id, reason: error.code }, 'a file could not be kept');
        return null;
      }
      throw error;
    }
  }

  private async markDeleted(owner: Owner, paths: readonly string[]): Promise<ImportedFile[]> {
    if (paths.length === 0) return [];
    const rows = (await this.files.byPaths(owner.id, paths)).filter((row) => row.deletedAt === null);
    await this.files.markDeleted(
      owner.id,
      rows.map((row) => row.id),
    );
    return rows.map((row) => ({ row, change: 'deleted' as const }));
  }
}

function isSame(row: ContainerFileRow, entry: FileEntry): boolean {
  return (
    Number(row.bytes) === entry.bytes &&
    row.mtimeMs !== null &&
    Number(row.mtimeMs) === Math.floor(entry.modifiedAtMs)
  );
}
