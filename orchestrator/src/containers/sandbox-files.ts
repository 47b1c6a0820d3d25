/** Keeps the files of a sandbox and the records of its container alike, in both directions. */
import { Injectable, Logger } from '@nestjs/common';
import { type Sandbox, SandboxError } from '../sandboxes/sandbox.driver.js';
import { BlobsService } from '../storage/blobs.service.js';
import {
  ContainerFileRepository,
  type ContainerFileRow,
  type ImportTarget,
} from './container-file.repository.js';
import { FileImporter, isWorthAnotherTry } from './file-importer.js';

/** What a file's own name or size rules out; trying again changes nothing. */
const REFUSED: ReadonlySet<string> = new Set(['no_space', 'not_a_file', 'invalid_path']);

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
    await this.files.setMtime(file.id, BigInt(Math.floor(entry.modifiedAtMs)));
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
    for (const file of files) {
      try {
        await this.put(sandbox, file);
      } catch (error) {
        if (!isRefusal(error)) throw error;
        this.logger.warn(
          { containerId: file.containerId, reason: (error as SandboxError).code },
          'a file does not go into its sandbox',
        );
        refused.push(file.path);
      }
    }
    return refused;
  }
}
