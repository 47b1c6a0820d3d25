/**
 * Runs code in a container. One execution at a time per container: the next one waits its turn.
 * Everything the code leaves behind is safe (files in the blob store, outputs in the row) before
 * `finished` is told.
 */
import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { Readable } from 'node:stream';
import { ApiError, notFound } from '../common/api-error.js';
import { newId } from '../common/ids.js';
import { KeyedMutex } from '../common/mutex.js';
import { type Page, type PageQuery, toPage } from '../common/pagination.js';
import { storableText } from '../common/text.js';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { Metrics } from '../observability/metrics.service.js';
import {
  type ExecutionEvent,
  type FileChange,
  type Sandbox,
  SandboxError,
} from '../sandboxes/sandbox.driver.js';
import { BlobsService } from '../storage/blobs.service.js';
import { ContainerFileRepository, type ContainerFileRow } from './container-file.repository.js';
import { ContainerRepository, type ContainerRow } from './container.repository.js';
import { type ExecutionOutput, OutputCollector, storableOutput } from './execution-outputs.js';
import { type ExecutionObject, presentExecution } from './execution.presenter.js';
import { ExecutionRepository, type ExecutionRow } from './execution.repository.js';
import type { ExecutionState } from './execution.state.js';
import { FileImporter, type ImportedFile } from './file-importer.js';
import { DATA_DIR } from './path-allocator.js';
import { SandboxBindings } from './sandbox-bindings.js';

/** Milliseconds between two heartbeats that keep a busy container from expiring; the shortest lifetime is a minute. */
const HEARTBEAT_MS = 15_000;

/** `last_active_at` is told in seconds; a short execution need not write it a second time. */
const JUST_NOW_MS = 1_000;
const wasActiveJustNow = (container: ContainerRow): boolean =>
  Math.abs(Date.now() - container.lastActiveAt.getTime()) < JUST_NOW_MS;

export { type ExecutionOutput, toCallOutputs } from './execution-outputs.js';
export type { ImportedFile } from './file-importer.js';

export interface RunOptions {
  readonly timeoutMs?: number | undefined;
  readonly responseId?: string | undefined;
  /** Aborting interrupts the code. */
  readonly signal?: AbortSignal | undefined;
}

/** What consumers see while code runs; `finished` is last and always comes. */
export type RunEvent =
  | { readonly type: 'started'; readonly execution: ExecutionRow }
  | { readonly type: 'output'; readonly output: ExecutionOutput }
  | {
      readonly type: 'finished';
      readonly execution: ExecutionRow;
      readonly files: readonly ImportedFile[];
      readonly images: readonly ContainerFileRow[];
      readonly cause?: unknown;
    };

interface Progress {
  readonly outputs: OutputCollector;
  readonly images: ContainerFileRow[];
  readonly notices: { code: string; message: string }[];
  errorName: string | null;
  end: Extract<ExecutionEvent, { type: 'finished' }> | null;
}

@Injectable()
export class ExecutionService implements OnApplicationBootstrap {
  private readonly logger = new Logger(ExecutionService.name);
  private readonly turns = new KeyedMutex();
  private readonly running = new Map<string, AbortController>();

  constructor(
    private readonly executions: ExecutionRepository,
    private readonly containers: ContainerRepository,
    private readonly files: ContainerFileRepository,
    private readonly bindings: SandboxBindings,
    private readonly importer: FileImporter,
    private readonly blobs: BlobsService,
    private readonly metrics: Metrics,
    @Inject(ENV) private readonly env: Env,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const count = await this.executions.failUnfinished({
      code: 'server_restarted',
      message: 'The server was restarted while this code ran. Files in /mnt/data are kept; run it again.',
    });
    if (count > 0) this.logger.warn({ count }, 'executions of an earlier run were cut off');
  }

  /** Runs code and tells what happens. Rejects before the first event only if nothing was run. */
  async *run(container: ContainerRow, code: string, options: RunOptions = {}): AsyncGenerator<RunEvent> {
    const abort = new AbortController();
    const signal = options.signal ? AbortSignal.any([options.signal, abort.signal]) : abort.signal;
    const isIdle = !this.turns.isBusy(container.id);
    const turn = this.turns.acquire(container.id);
    const beat = setInterval(() => this.beat(container.id), HEARTBEAT_MS);
    let row: ExecutionRow | undefined;
    let ended = false;
    try {
      row = await this.insert(container, code, options, isIdle);
      this.running.set(row.id, abort);
      yield { type: 'started', execution: row };
      for await (const event of this.inTurn(container, row, code, signal, turn)) {
        ended ||= event.type === 'finished';
        yield event;
      }
    } finally {
      clearInterval(beat);
      abort.abort();
      void turn.then((end) => end());
      if (row) {
        this.running.delete(row.id);
        // A consumer that stopped listening leaves no row that looks as if it still ran.
        if (!ended) await this.executions.close(row.id);
      }
    }
  }

  /** Runs code and waits for its end; for callers that want no live output. */
  async runToEnd(
    container: ContainerRow,
    code: string,
    options: RunOptions = {},
  ): Promise<Extract<RunEvent, { type: 'finished' }>> {
    for await (const event of this.run(container, code, options)) {
      if (event.type === 'finished') return event;
    }
    throw new ApiError('server_error', 'The execution ended without a result.');
  }

  async get(container: ContainerRow, id: string): Promise<ExecutionObject> {
    const row = await this.executions.find(container.id, id);
    if (!row) throw notFound.execution(id);
    return presentExecution(row);
  }

  async list(container: ContainerRow, query: PageQuery): Promise<Page<ExecutionObject>> {
    const after =
      query.after === undefined ? undefined : await this.executions.find(container.id, query.after);
    if (query.after !== undefined && !after) throw notFound.cursor();
    const rows = await this.executions.list({
      containerId: container.id,
      afterSeq: after?.seq,
      limit: query.limit + 1,
      order: query.order,
    });
    return toPage(rows, query.limit, presentExecution);
  }

  /** Interrupts a running execution; one that has ended stays as it is. */
  async cancel(container: ContainerRow, id: string): Promise<ExecutionObject> {
    const found = await this.get(container, id);
    this.running.get(id)?.abort();
    return found;
  }

  /** Files that the executions of a response made and figures they showed; for a run that is taken up again. */
  async filesOfResponse(responseId: string): Promise<ContainerFileRow[]> {
    const ids = new Set<string>();
    for (const row of await this.executions.ofResponse(responseId)) {
      const { files, outputs } = presentExecution(row);
      for (const { id } of files) ids.add(id);
      for (const output of outputs) if (output.type === 'image') ids.add(output.file_id);
    }
    return this.files.byIds([...ids]);
  }

  /** Containers that the executions of a response used, newest first. */
  async containersOfResponse(responseId: string): Promise<string[]> {
    const rows = await this.executions.ofResponse(responseId);
    return [...new Set(rows.map((row) => row.containerId).reverse())];
  }

  private beat(containerId: string): void {
    this.containers.heartbeat(containerId).catch((error: unknown) => {
      this.logger.warn({ err: error, containerId }, 'a busy container could not be kept from expiring');
    });
  }

  private insert(
    container: ContainerRow,
    code: string,
    options: RunOptions,
    isIdle: boolean,
  ): Promise<ExecutionRow> {
    const asked = options.timeoutMs ?? this.env.EXECUTION_TIMEOUT_MS;
    const row = {
      id: newId.execution(),
      containerId: container.id,
      projectId: container.projectId,
      responseId: options.responseId,
      code: storableText(code),
      timeoutMs: Math.min(asked, this.env.EXECUTION_MAX_TIMEOUT_MS),
    };
    return this.executions.insert(row, isIdle);
  }

  private async *inTurn(
    container: ContainerRow,
    row: ExecutionRow,
    code: string,
    signal: AbortSignal,
    turn: Promise<() => void>,
  ): AsyncGenerator<RunEvent> {
    const progress: Progress = {
      outputs: new OutputCollector(),
      images: [],
      notices: [],
      errorName: null,
      end: null,
    };
    let files: ImportedFile[] = [];
    let failure: ExecutionState | null = null;
    let cause: unknown;
    const endTurn = await turn;
    try {
      if (signal.aborted) failure = 'interrupted';
      else files = yield* this.onSandbox(container, row, code, signal, progress);
    } catch (error) {
      failure = 'failed';
      cause = error;
      yield this.note(progress, 'sandbox_failed', this.explain(error, container));
    } finally {
      endTurn();
    }
    const [execution] = await Promise.all([
      this.finish(row, progress, files, failure),
      wasActiveJustNow(container) ? undefined : this.containers.heartbeat(container.id),
    ]);
    this.metrics.executionFinished(execution.status, execution.durationMs);
    yield { type: 'finished', execution, files, images: progress.images, cause };
  }

  private async *onSandbox(
    container: ContainerRow,
    row: ExecutionRow,
    code: string,
    signal: AbortSignal,
    progress: Progress,
  ): AsyncGenerator<RunEvent, ImportedFile[]> {
    const lease = await this.bindings.lease(container);
    try {
      if (lease.stateLost) {
        yield this.note(
          progress,
          'state_lost',
          'The sandbox of this container was replaced: variables and imports are lost, files in /mnt/data are kept.',
        );
      }
      if (row.status === 'queued') await this.executions.markRunning(row.id);
      for await (const event of lease.sandbox.execute(code, this.limits(row.timeoutMs, signal))) {
        const output = await this.observe(container, event, progress);
        if (output) yield { type: 'output', output };
      }
      for (const image of progress.images) await this.bindings.copyIn(image);
      return await this.importer.importChanges(container, lease.sandbox, this.changes(progress));
    } finally {
      lease.release();
    }
  }

  private changes(progress: Progress): readonly FileChange[] {
    return progress.end?.files ?? [];
  }

  private limits(timeoutMs: number, signal: AbortSignal): Parameters<Sandbox['execute']>[1] {
    return {
      timeoutMs,
      maxOutputBytes: this.env.EXECUTION_MAX_OUTPUT_BYTES,
      maxImages: this.env.EXECUTION_MAX_IMAGES,
      maxImageBytes: this.env.EXECUTION_MAX_IMAGE_BYTES,
      signal,
    };
  }

  /** Takes in one event of the sandbox; returns what is to be shown of it. */
  private async observe(
    container: ContainerRow,
    event: ExecutionEvent,
    progress: Progress,
  ): Promise<ExecutionOutput | null> {
    if (event.type === 'finished') {
      progress.end = event;
      return null;
    }
    if (event.type === 'error') progress.errorName = storableText(event.name);
    if (event.type === 'notice') progress.notices.push({ code: event.code, message: event.message });
    const output = storableOutput(
      event.type === 'image' ? await this.keepImage(container, event, progress) : event,
    );
    progress.outputs.add(output);
    return output;
  }

  /** A shown figure becomes a file of the container, named after its id (contract §2.8). */
  private async keepImage(
    container: ContainerRow,
    image: Extract<ExecutionEvent, { type: 'image' }>,
    progress: Progress,
  ): Promise<ExecutionOutput> {
    const blob = await this.blobs.write(Readable.from([image.data]));
    const id = newId.containerFile();
    const row = await this.files.upsert({
      id,
      containerId: container.id,
      projectId: container.projectId,
      path: `${DATA_DIR}/${id}.${image.mimeType === 'image/png' ? 'png' : 'jpg'}`,
      bytes: BigInt(blob.bytes),
      blobSha256: blob.sha256,
      source: 'assistant',
    });
    progress.images.push(row);
    return { type: 'image', file_id: row.id, mime_type: image.mimeType, bytes: blob.bytes };
  }

  private note(progress: Progress, code: string, message: string): RunEvent {
    progress.notices.push({ code, message });
    const output: ExecutionOutput = { type: 'notice', code, message };
    progress.outputs.add(output);
    return { type: 'output', output };
  }

  private explain(error: unknown, container: ContainerRow): string {
    if (error instanceof ApiError) return error.message;
    this.logger.error({ err: error, containerId: container.id }, 'an execution could not be run');
    if (error instanceof SandboxError) return error.message;
    return 'The sandbox failed while this code ran. Files written before are kept; run it again.';
  }

  private async finish(
    row: ExecutionRow,
    progress: Progress,
    files: readonly ImportedFile[],
    failure: ExecutionState | null,
  ): Promise<ExecutionRow> {
    const { end } = progress;
    return this.executions.finish(row.id, {
      status: failure ?? end?.status ?? 'failed',
      outputs: progress.outputs.list().map((output) => ({ ...output })),
      files: files.map(({ row: file, change }) => ({
        id: file.id,
        path: storableText(file.path),
        bytes: Number(file.bytes),
        change,
      })),
      notices: progress.notices,
      errorName: progress.errorName,
      stateLost: (end?.stateLost ?? false) || progress.notices.some((notice) => notice.code === 'state_lost'),
      durationMs: end ? Math.round(end.durationMs) : null,
      peakMemoryBytes: end ? BigInt(Math.round(end.peakMemoryBytes)) : null,
    });
  }
}
