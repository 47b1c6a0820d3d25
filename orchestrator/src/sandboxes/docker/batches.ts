/** Moves many files over one connection, one after the other. */
import type { FetchedFile, FileEntry, FileSource, ReadOptions, StoredFile } from '../sandbox.driver.js';
import { SandboxError } from '../sandbox.driver.js';
import type { FrameConnection } from './frame-connection.js';
import { DownloadStream, putFile } from './transfers.js';

/** What a batch needs of its client. */
export interface BatchHost {
  connect(): Promise<FrameConnection>;
  /** `gone` stays `gone` only if the sandbox has ended with the connection. */
  verdict(error: SandboxError): Promise<SandboxError>;
}

/** A connection that is replaced once it is of no more use. */
class Line {
  private readonly host: BatchHost;
  private current: FrameConnection | undefined;

  constructor(host: BatchHost) {
    this.host = host;
  }

  async connection(): Promise<FrameConnection> {
    if (this.current?.open !== true) this.current = await this.host.connect();
    return this.current;
  }

  /** What the last call left on it cannot be told from what comes next. */
  drop(): void {
    this.current?.destroy();
    this.current = undefined;
  }

  /** The error of one file; throws the one that ends everything. */
  async judge(error: unknown): Promise<Error> {
    this.drop();
    const verdict = error instanceof SandboxError ? await this.host.verdict(error) : (error as Error);
    if (verdict instanceof SandboxError && verdict.code === 'gone') throw verdict;
    return verdict;
  }
}

export async function* getFiles(
  host: BatchHost,
  paths: readonly string[],
  options: ReadOptions,
): AsyncGenerator<FetchedFile> {
  const line = new Line(host);
  try {
    for (const path of paths) {
      const content = new DownloadStream(await line.connection(), path, options);
      let entry: FileEntry;
      try {
        entry = await content.opened.promise;
      } catch (error) {
        if (content.complete && (error as SandboxError).code !== 'gone') {
          yield { path, error: error as SandboxError };
        } else {
          yield { path, error: (await line.judge(error)) as SandboxError };
        }
        continue;
      }
      yield { path, entry, content };
      content.destroy();
      if (!content.complete) line.drop();
      if (content.errored !== null) await line.judge(content.errored);
    }
  } finally {
    line.drop();
  }
}

export async function* putFiles(
  host: BatchHost,
  files: Iterable<FileSource> | AsyncIterable<FileSource>,
): AsyncGenerator<StoredFile> {
  const line = new Line(host);
  try {
    for await (const { path, content } of files) {
      let stored: StoredFile;
      try {
        stored = { path, entry: await putFile(await line.connection(), path, content) };
      } catch (error) {
        content.destroy();
        stored = { path, error: await line.judge(error) };
      }
      yield stored;
    }
  } finally {
    line.drop();
  }
}
