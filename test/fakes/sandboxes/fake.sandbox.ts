/** A sandbox in memory; see fake-program.ts for what it can run. */
import { Readable } from 'node:stream';
import { MAX_CODE_CHARS } from '../../../orchestrator/src/common/code-length.js';
import { EventQueue } from '../../../orchestrator/src/sandboxes/docker/event-queue.js';
import {
  SandboxError,
  type ExecuteOptions,
  type ExecutionEvent,
  type FetchedFile,
  type FileEntry,
  type FileList,
  type FileSource,
  type OpenedFile,
  type ReadOptions,
  type Sandbox,
  type SandboxId,
  type SandboxSpec,
  type StoredFile,
} from '../../../orchestrator/src/sandboxes/sandbox.driver.js';
import { FakeExecution } from './fake-execution.js';
import { FakeFiles } from './fake-files.js';

const gone = (): SandboxError => new SandboxError('gone', 'the sandbox has ended');

function unlessGone<E extends Error>(error: E): E {
  if (error instanceof SandboxError && error.code === 'gone') throw error;
  return error;
}

/** Faults that happen once, to whichever sandbox of the driver comes next. */
export interface SandboxFaults {
  nextPut?: Error | undefined;
  nextGet?: Error | undefined;
  nextClaim?: Error | undefined;
  /** The next execution ends with its sandbox, after its first statement. */
  dieDuringExecute?: boolean | undefined;
  /** So many executions find that their sandbox has ended, and nobody had noticed. */
  diesBeforeExecute?: number;
}

/** What outlives a driver, as a Docker container would: state, and whoever holds the sandbox now. */
export class FakeMachine {
  readonly id: SandboxId;
  readonly spec: SandboxSpec;
  readonly installationId: string;
  readonly createdAt = new Date();
  readonly files: FakeFiles;
  readonly variables = new Map<string, string>();
  private readonly ending = new AbortController();
  private stop = new AbortController();
  private lastTurn: Promise<void> = Promise.resolve();
  claims = 0;
  /** Executions that run or wait. */
  running = 0;
  asleepSince: Date | undefined;

  constructor(id: SandboxId, spec: SandboxSpec, installationId: string) {
    this.id = id;
    this.spec = spec;
    this.installationId = installationId;
    this.files = new FakeFiles(spec.dataBytes, spec.maxFiles);
  }

  get alive(): boolean {
    return !this.ending.signal.aborted;
  }

  get death(): AbortSignal {
    return this.ending.signal;
  }

  die(error?: SandboxError): void {
    this.ending.abort(error);
  }

  /** What a lost connection does to running code. */
  interrupt(): void {
    this.stop.abort();
  }

  run(
    code: string,
    options: ExecuteOptions,
    emit: (event: ExecutionEvent) => void,
    stop: AbortSignal,
  ): Promise<void> {
    this.running += 1;
    const turn = this.lastTurn.then(async () => {
      if (stop.aborted) return emit(neverStarted);
      this.stop = new AbortController();
      const both = AbortSignal.any([stop, this.stop.signal]);
      const { files, variables, death } = this;
      const world = {
        files,
        variables,
        emit,
        stop: both,
        death,
        die: (error?: SandboxError) => this.die(error),
      };
      await new FakeExecution(world, options).run(code);
    });
    this.lastTurn = turn.catch(() => undefined).finally(() => (this.running -= 1));
    return turn;
  }
}

const neverStarted: ExecutionEvent = {
  type: 'finished',
  status: 'interrupted',
  stateLost: false,
  durationMs: 0,
  peakMemoryBytes: 0,
  files: [],
  filesTruncated: false,
};

export class FakeSandbox implements Sandbox {
  readonly id: SandboxId;
  readonly spec: SandboxSpec;
  readonly closed: Promise<void>;
  private readonly machine: FakeMachine;
  private readonly faults: SandboxFaults;
  private readonly detached = new AbortController();

  constructor(machine: FakeMachine, faults: SandboxFaults) {
    this.id = machine.id;
    this.spec = machine.spec;
    this.machine = machine;
    this.faults = faults;
    this.closed = new Promise((resolve) => machine.death.addEventListener('abort', () => resolve()));
  }

  /** The driver closes: this handle is of no use any more, the machine lives on. */
  detach(): void {
    this.detached.abort();
    this.machine.interrupt();
  }

  async claim(): Promise<void> {
    this.requireAlive();
    this.throw('nextClaim');
    this.machine.claims += 1;
    return Promise.resolve();
  }

  execute(code: string, options: ExecuteOptions): AsyncIterable<ExecutionEvent> {
    const leave = new AbortController();
    const stop = AbortSignal.any([leave.signal, ...(options.signal === undefined ? [] : [options.signal])]);
    let over: Promise<void> = Promise.resolve();
    const events = new EventQueue<ExecutionEvent>({
      slow: () => undefined,
      abandoned: () => {
        leave.abort();
        return over;
      },
    });
    over = this.run(code, options, events, stop);
    return events;
  }

  restart(): Promise<void> {
    return this.answer(() => {
      this.machine.interrupt();
      this.machine.variables.clear();
    });
  }

  async putFile(path: string, content: Readable): Promise<FileEntry> {
    const chunks: Buffer[] = [];
    for await (const chunk of content)
      chunks.push(typeof chunk === 'string' ? Buffer.from(chunk) : (chunk as Buffer));
    this.requireAlive();
    this.throw('nextPut');
    return this.machine.files.write(path, Buffer.concat(chunks));
  }

  getFile(path: string, options: ReadOptions = {}): Promise<OpenedFile> {
    return this.answer(() => {
      this.throw('nextGet');
      const content = this.machine.files.read(path);
      if (content.length > (options.maxBytes ?? Infinity))
        throw new SandboxError('too_large', 'a large file');
      return { bytes: content.length, content: Readable.from(content.length === 0 ? [] : [content]) };
    });
  }

  async *putFiles(files: Iterable<FileSource> | AsyncIterable<FileSource>): AsyncGenerator<StoredFile> {
    for await (const { path, content } of files) {
      try {
        yield { path, entry: await this.putFile(path, content) };
      } catch (error) {
        yield { path, error: unlessGone(error as Error) };
      }
    }
  }

  async *getFiles(paths: readonly string[], options: ReadOptions = {}): AsyncGenerator<FetchedFile> {
    for (const path of paths) {
      try {
        const { content } = await this.getFile(path, options);
        yield { path, entry: this.machine.files.entry(path), content };
      } catch (error) {
        yield { path, error: unlessGone(error as SandboxError) };
      }
    }
  }

  listFiles(): Promise<FileList> {
    return this.answer(() => this.machine.files.list(this.spec.maxFiles));
  }

  removeFile(path: string): Promise<void> {
    return this.answer(() => this.machine.files.remove(path));
  }

  ping(): Promise<void> {
    return this.answer(() => undefined);
  }

  private async run(
    code: string,
    options: ExecuteOptions,
    events: EventQueue<ExecutionEvent>,
    stop: AbortSignal,
  ): Promise<void> {
    try {
      if (this.faults.diesBeforeExecute) {
        this.faults.diesBeforeExecute -= 1;
        this.machine.die();
      }
      if (!this.machine.alive || this.detached.signal.aborted)
        throw new SandboxError('gone', 'the sandbox has ended', { neverBegun: true });
      if (code.length > MAX_CODE_CHARS) throw new SandboxError('too_large', 'the program is too long');
      this.detached.signal.addEventListener('abort', () => events.fail(gone()));
      const deadly = this.faults.dieDuringExecute === true;
      this.faults.dieDuringExecute = undefined;
      const program = deadly ? code.replace(/\n|$/, '\nend\n') : code;
      await this.machine.run(program, options, (event) => events.push(event, 0), stop);
      events.end();
    } catch (error) {
      events.fail(error);
    }
  }

  /** Asynchronous like the real one, and rejecting rather than throwing. */
  private async answer<T>(work: () => T): Promise<T> {
    await Promise.resolve();
    this.requireAlive();
    return work();
  }

  private requireAlive(): void {
    if (!this.machine.alive || this.detached.signal.aborted) throw gone();
  }

  private throw(fault: 'nextPut' | 'nextGet' | 'nextClaim'): void {
    const error = this.faults[fault];
    this.faults[fault] = undefined;
    if (error !== undefined) throw error;
  }
}
