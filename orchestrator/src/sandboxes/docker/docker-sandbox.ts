/** A live sandbox of the Docker driver: a supervisor's client, a turn for each execution, and its end. */
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  ExecuteOptions,
  ExecutionEvent,
  FetchedFile,
  FileEntry,
  FileList,
  FileSource,
  OpenedFile,
  ReadOptions,
  Sandbox,
  SandboxId,
  SandboxSpec,
  StoredFile,
} from '../sandbox.driver.js';
import { SandboxError } from '../sandbox.driver.js';
import type { MemoryCgroup } from './cgroup.js';
import type { ContainerState } from './docker-engine.js';
import { Execution, type ExecutionHost } from './execution.js';
import type { SupervisorClient } from './supervisor-client.js';
import { goneError } from './supervisor-errors.js';

export interface SandboxParts {
  readonly id: SandboxId;
  readonly spec: SandboxSpec;
  readonly client: SupervisorClient;
  /** It was made from a warm one, and has its limits and seeds. */
  readonly isClaimed: boolean;
  /** `undefined` where the host hides it; memory deaths then look like other deaths. */
  readonly cgroup: MemoryCgroup | undefined;
  /** How long a fresh kernel may take, in milliseconds. */
  readonly restartTimeoutMs: number;
  codeBegins(): void;
  /** What the engine knows of the container now; rejects or `undefined` if it is gone. */
  inspectEnd(): Promise<ContainerState | undefined>;
}

/** The engine learns of an end a little later than we do. Milliseconds. */
const END_WAIT_MS = 3_000;
const END_POLL_MS = 25;
/** The supervisor remembers twice as many files as it looks at; all of them may be gone, and as many new. */
const MAX_CHANGES_PER_FILE = 4;

export class DockerSandbox implements Sandbox {
  readonly id: SandboxId;
  readonly spec: SandboxSpec;
  readonly closed: Promise<void>;
  private readonly parts: SandboxParts;
  private readonly executionHost: ExecutionHost;
  private lastTurn: Promise<void> = Promise.resolve();
  private detached = false;
  private ended = false;
  private readonly oomKillsAtStart: number;
  /** As of the last look; at the sandbox's end the counter disappears. */
  private oomKillsSeen: number;
  private explanation: Promise<SandboxError | undefined> | undefined;

  constructor(parts: SandboxParts) {
    const { client, cgroup } = parts;
    this.id = parts.id;
    this.spec = parts.spec;
    this.parts = parts;
    this.oomKillsAtStart = cgroup?.oomKills() ?? 0;
    this.oomKillsSeen = this.oomKillsAtStart;
    this.closed = new Promise((resolve) => {
      void client.closed.then(() => {
        if (!this.detached) resolve();
      });
    });
    this.executionHost = {
      connect: () => client.execution(),
      interrupt: () => client.interrupt(),
      ping: () => client.ping(),
      oomKills: () => this.oomKills(),
      explainEnd: (error) => this.explainLostExecution(error),
      restartTimeoutMs: parts.restartTimeoutMs,
      maxFileChanges: MAX_CHANGES_PER_FILE * parts.spec.maxFiles,
      giveUp: (reason) => client.close(reason),
    };
  }

  /** Bytes that the sandbox really uses; 0 when it cannot be seen. */
  get usedBytes(): number {
    return this.parts.cgroup?.usedBytes() ?? 0;
  }

  /** Ends the connections; the sandbox has been removed or is about to be. */
  end(): void {
    this.ended = true;
    this.parts.client.close(goneError('the sandbox was removed'));
  }

  /** Ends the connections but not the sandbox: `closed` stays open. */
  detach(): void {
    this.detached = true;
    this.parts.client.close(goneError('the orchestrator lets go of the sandbox'));
  }

  /** Before it is put to sleep. Rejects with `busy`, and goes on, while something runs; else this object is spent. */
  async park(): Promise<void> {
    this.detached = true;
    try {
      await this.parts.client.park();
    } catch (error) {
      this.detached = !this.parts.client.open;
      throw error;
    }
  }

  claim(warmUp = false): Promise<void> {
    const { memoryBytes, maxFiles } = this.spec;
    return this.explained(async () => {
      if (!this.parts.isClaimed) await this.parts.client.configure({ memoryBytes, maxFiles }, warmUp);
      // The first execution finds its connection made.
      await this.parts.client.execution();
    });
  }

  execute(code: string, options: ExecuteOptions): AsyncIterable<ExecutionEvent> {
    const execution = new Execution(this.executionHost, options);
    this.lastTurn = this.lastTurn.then(() => {
      this.parts.codeBegins();
      return execution.run(code);
    });
    return execution.events;
  }

  restart(): Promise<void> {
    return this.explained(() => this.parts.client.restart(this.parts.restartTimeoutMs));
  }

  putFile(path: string, content: Readable): Promise<FileEntry> {
    return this.explained(() => this.parts.client.put(path, content));
  }

  getFile(path: string, options: ReadOptions = {}): Promise<OpenedFile> {
    return this.explained(() => this.parts.client.get(path, options));
  }

  putFiles(files: Iterable<FileSource> | AsyncIterable<FileSource>): AsyncIterable<StoredFile> {
    return this.explainedAll(this.parts.client.putMany(files));
  }

  getFiles(paths: readonly string[], options: ReadOptions = {}): AsyncIterable<FetchedFile> {
    return this.explainedAll(this.parts.client.getMany(paths, options));
  }

  listFiles(): Promise<FileList> {
    return this.explained(() => this.parts.client.list(this.spec.maxFiles));
  }

  removeFile(path: string): Promise<void> {
    return this.explained(() => this.parts.client.remove(path));
  }

  async ping(): Promise<void> {
    await this.explained(() => this.parts.client.ping());
  }

  private async explained<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof SandboxError && error.code === 'gone') throw await this.explain(error);
      throw error;
    }
  }

  private async *explainedAll<T>(items: AsyncIterable<T>): AsyncGenerator<T> {
    try {
      yield* items;
    } catch (error) {
      if (error instanceof SandboxError && error.code === 'gone') throw await this.explain(error);
      throw error;
    }
  }

  /** Where the sandbox goes on, the next execution must not meet the lost one. */
  private async explainLostExecution(error: SandboxError): Promise<SandboxError> {
    const explained = await this.explain(error);
    if (explained.code !== 'gone') {
      await this.parts.client.untilIdle(this.parts.restartTimeoutMs).catch(() => undefined);
    }
    return explained;
  }

  private oomKills(): number | undefined {
    const now = this.parts.cgroup?.oomKills();
    this.oomKillsSeen = now ?? this.oomKillsSeen;
    return now;
  }

  /** Memory as the cause, when the counter or the engine says so; `error` otherwise. */
  private async explain(error: SandboxError): Promise<SandboxError> {
    const verdict = await this.parts.client.verdict(error);
    // `closed` is resolved before anyone sees `gone`.
    if (verdict.code === 'gone') await this.parts.client.closed;
    if (verdict.code !== 'gone' || this.detached || this.ended) return verdict;
    this.explanation ??= this.findCause();
    return (await this.explanation) ?? error;
  }

  private async findCause(): Promise<SandboxError | undefined> {
    const before = this.oomKillsSeen;
    // The engine's own flag stays up once anything was killed, also long before the end.
    const flagIsFresh = before === this.oomKillsAtStart;
    const deadline = Date.now() + END_WAIT_MS;
    for (;;) {
      if ((this.oomKills() ?? 0) > before) return this.outOfMemory();
      const state = await this.parts.inspectEnd().catch(() => undefined);
      if (state === undefined || !state.running || Date.now() > deadline) {
        return state?.outOfMemory === true && flagIsFresh ? this.outOfMemory() : undefined;
      }
      await sleep(END_POLL_MS);
    }
  }

  private outOfMemory(): SandboxError {
    const mebibytes = Math.round(this.spec.memoryBytes / 1_048_576);
    return new SandboxError(
      'gone',
      `The code and what it started needed more memory than the container has (${mebibytes} MiB), and the host ended them all. Variables are lost, and files that this code wrote; earlier files are kept.`,
      { outOfMemory: true },
    );
  }
}
