/** Keeps the files of a sandbox and the records of its container alike, in both directions. */
import { Injectable, Logger } from '@nestjs/common';
import { Readable } from 'node:stream';
import { type FileSource, type Sandbox, SandboxError } from '../sandboxes/sandbox.driver.js';
import { BlobsService } from '../storage/blobs.service.js';
import {
  ContainerFileRepository,
  type ContainerFileRow,
  type ImportTarget,
  type Seen,
  seen,
} from './container-file.repository.js';
import { FileImporter, isWorthAnotherTry } from './file-importer.js';

/** What a file's own name or size rules out; trying again changes nothing. */
const REFUSED: ReadonlySet<string> = new Set(['no_space', 'not_a_file', 'invalid_path']);

/** It is gone already. */
const VANISHED: ReadonlySet<string> = new Set(['not_found', 'not_a_file']);

/** Whether the sandbox refused this file as it is; other failures pass, or end the sandbox. */
export const isRefusal = (error: unknown): boolean =>
  error instanceof SandboxError && REFUSED.has(error.code);

@Injectable()
export class SandboxFiles {
  private readonly logger = new Logger(SandboxFiles.name);

  constructor(
    private readonly files: ContainerFileRepository,
    private readonly blobs: BlobsService,
    private readonly importer: FileImporter,
  ) {}

  async put(sandbox: Sandbox, file: ContainerFileRow): Promise<void> {
    const entry = await sandbox.putFile(file.path, await this.blobs.read(file.blobSha256));
    await this.files.setSeen([{ id: file.id, seen: seen(entry) }]);
  }

  /**
   * Puts every file of the container into a fresh sandbox: first those that were in the one before, then the
   * others, each oldest first. Returns the paths of those that it refuses: they stay in the records.
   */
  async restore(sandbox: Sandbox, containerId: string): Promise<string[]> {
    const files = await this.files.all(containerId);
    const wasIn = ({ mtimeMs }: ContainerFileRow) => mtimeMs !== null;
    return this.putAll(sandbox, [...files.filter(wasIn), ...files.filter((file) => !wasIn(file))]);
  }

  /**
   * For a sandbox that was out of reach, since it slept or its server was away: what was removed from the container
   * meanwhile is removed from it as well. A file that code has written since is another one, and stays.
   */
  async removeDeleted(sandbox: Sandbox, containerId: string): Promise<void> {
    const deleted = await this.files.deletedAndSeen(containerId);
    if (deleted.length === 0) return;
    const stamps = new Map(deleted.map(({ path, stamp }) => [path, stamp]));
    for (const { path, stamp } of (await sandbox.listFiles()).entries) {
      if (stamp === undefined || stamps.get(path) !== stamp) continue;
      await sandbox.removeFile(path).catch((error: unknown) => {
        if (!(error instanceof SandboxError && VANISHED.has(error.code))) throw error;
      });
    }
  }

  /**
   * Brings in what the sandbox holds and the records do not, then puts in what it lacks. Called when the two
   * may differ. False when something could not be stored that may be stored later.
   */
  async reconcile(target: ImportTarget, sandbox: Sandbox, limitMs: number): Promise<boolean> {
    const report = await this.importer.importAll(target, sandbox, limitMs);
    const lacking = (await this.files.all(target.id)).filter(({ mtimeMs }) => mtimeMs === null);
    await this.putAll(sandbox, lacking);
    return !isWorthAnotherTry(report);
  }

  private async putAll(sandbox: Sandbox, files: readonly ContainerFileRow[]): Promise<string[]> {
    const refused: string[] = [];
    const stored: { id: string; seen: Seen }[] = [];
    let next = 0;
    if (files.length === 0) return refused;
    for await (const put of sandbox.putFiles(this.contents(files))) {
      const file = files[next]!;
      next += 1;
      if ('entry' in put) stored.push({ id: file.id, seen: seen(put.entry) });
      else {
        if (put.error instanceof SandboxError && !isRefusal(put.error)) throw put.error;
        const { containerId } = file;
        this.logger.warn({ err: put.error, containerId }, 'a file does not go into its sandbox');
        refused.push(file.path);
      }
    }
    await this.files.setSeen(stored);
    return refused;
  }

  private async *contents(files: readonly ContainerFileRow[]): AsyncGenerator<FileSource> {
    for (const { path, blobSha256 } of files) yield { path, content: await this.content(blobSha256) };
  }

  /** Content that the store lost fails its own file only. */
  private async content(sha256: string): Promise<Readable> {
    try {
      return await this.blobs.read(sha256);
    } catch (error) {
      return new Readable({
        read() {
          this.destroy(error as Error);
        },
      });
    }
  }
}
