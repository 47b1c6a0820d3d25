/**
 * One execution, from its turn to its end. It runs by itself: whoever asked for it reads what it tells from
 * a {@link RunFeed} and may leave at any time. Leaving interrupts the code, and whatever the code left by
 * then (outputs, files, status) is kept all the same.
 */
import { Logger } from '@nestjs/common';
import { ApiError } from '../common/api-error.js';
import { newId } from '../common/ids.js';
import { storableText } from '../common/text.js';
import {
  type ExecutionEvent,
  type Sandbox,
  SandboxError,
  type ValueOptions,
} from '../sandboxes/sandbox.driver.js';
import type { ContainerFileRow } from './container-file.repository.js';
import type { ContainerRow } from './container.repository.js';
import { type ExecutionOutput, OutputCollector, storableOutput } from './execution-outputs.js';
import type { ExecutionEnd, ExecutionRow } from './execution.repository.js';
import type { ExecutionState } from './execution.state.js';
import { type ExecutionValue, readValue } from './execution-value.js';
import { type ImportedFile, type ImportReport, isWorthAnotherTry } from './file-importer.js';
import {
  EXECUTION_NOT_STORED,
  leftNotice,
  missingNotice,
  type Notice,
  STATE_LOST,
  UNREADABLE_VALUE,
} from './notices.js';
import { DATA_DIR } from './path-allocator.js';
import { RunFeed } from './run-feed.js';
import type { RunParts } from './run-parts.js';
import type { Lease } from './binding.js';

/** What its reader sees; `finished` is last and always comes. */
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

export type RunValues = Omit<ValueOptions, 'maxValueBytes'>;

export interface RunOptions {
  readonly timeoutMs?: number | undefined;
  readonly responseId?: string | undefined;
  /** What the code gets and gives back beside text and files. */
  readonly values?: RunValues | undefined;
  /** Aborting interrupts the code. */
  readonly signal?: AbortSignal | undefined;
}

export type FinishedRun = Extract<RunEvent, { type: 'finished' }>;

/** Milliseconds between two heartbeats that keep a busy container from expiring; the shortest lifetime is a minute. */
const HEARTBEAT_MS = 15_000;
/** `last_active_at` is told in seconds; a short execution need not write it a second time. */
const JUST_NOW_MS = 1_000;
const SANDBOXES_ENDED = 'Two sandboxes ended before they began this code. Please run it again.';
/** Milliseconds that storing the files of a short execution may take; a longer one may take as long as its code. */
const IMPORT_MS = 60_000;

export class ExecutionRun {
  private readonly logger = new Logger(ExecutionRun.name);
  private readonly feed = new RunFeed();
  private readonly outputs = new OutputCollector();
  private readonly images: ContainerFileRow[] = [];
  private readonly stop = new AbortController();
  private readonly signal: AbortSignal;
  private readonly values: RunValues | undefined;
  private errorName: string | null = null;
  private stateLost = false;
  private end: Extract<ExecutionEvent, { type: 'finished' }> | null = null;
  private files: readonly ImportedFile[] = [];
  private value: ExecutionValue | null = null;
  private cause: unknown;

  constructor(
    private readonly parts: RunParts,
    private readonly container: ContainerRow,
    private readonly row: ExecutionRow,
    private readonly code: string,
    { signal, values }: RunOptions,
  ) {
    this.values = values;
    this.signal = signal ? AbortSignal.any([signal, this.stop.signal]) : this.stop.signal;
  }

  /** What happens, from the beginning. To be read once; a reader who stops early interrupts the code. */
  async *events(): AsyncGenerator<RunEvent> {
    let hasEnded = false;
    try {
      for await (const event of this.feed.read()) {
        hasEnded = event.type === 'finished';
        yield event;
      }
    } finally {
      if (!hasEnded) this.interrupt();
    }
  }

  /** Asks the code to stop; the run then ends as usual. */
  interrupt(): void {
    this.stop.abort();
  }

  /** Runs the code when its turn has come. Resolves when its end is written down; never rejects. */
  async go(turn: Promise<() => void>): Promise<FinishedRun> {
    const beat = setInterval(() => void this.beat(), HEARTBEAT_MS);
    this.feed.push({ type: 'started', execution: this.row });
    const failure = await this.inTurn(turn);
    const finished = await this.conclude(failure);
    clearInterval(beat);
    this.feed.push(finished);
    this.feed.end();
    return finished;
  }

  /** Waits for its turn, unless it is interrupted before. Returns the status that overrules the sandbox's. */
  private async inTurn(turn: Promise<() => void>): Promise<ExecutionState | null> {
    const isTurn = await Promise.race([turn.then(() => true), aborted(this.signal).then(() => false)]);
    try {
      if (!isTurn || this.signal.aborted) return 'interrupted';
      await this.onSandbox();
      return null;
    } catch (error) {
      this.cause = error;
      const isMemory = error instanceof SandboxError && error.outOfMemory;
      if (isMemory) this.stateLost = true;
      this.note({ code: isMemory ? 'out_of_memory' : 'sandbox_failed', message: this.explain(error) });
      return isMemory ? 'out_of_memory' : 'failed';
    } finally {
      void turn.then((endTurn) => endTurn());
    }
  }

  private async conclude(failure: ExecutionState | null): Promise<FinishedRun> {
    try {
      const [execution] = await Promise.all([this.write(this.ending(failure)), this.touch()]);
      return this.finished(execution);
    } catch (error) {
      // The process ends, and the next one finds the row and closes it; or the project is gone.
      this.logger.error(
        { err: error, executionId: this.row.id },
        'the end of an execution was not written down',
      );
      this.note(EXECUTION_NOT_STORED);
      return this.finished({ ...this.row, ...this.ending('failed'), endedAt: new Date() });
    }
  }

  private finished(execution: ExecutionRow): FinishedRun {
    return { type: 'finished', execution, files: this.files, images: this.images, cause: this.cause };
  }

  private async beat(): Promise<void> {
    try {
      await this.parts.containers.heartbeat(this.container.id);
    } catch (error) {
      this.logger.warn(
        { err: error, containerId: this.container.id },
        'a busy container could not be kept from expiring',
      );
    }
  }

  private async touch(): Promise<void> {
    const idleMs = Math.abs(Date.now() - this.container.lastActiveAt.getTime());
    if (idleMs >= JUST_NOW_MS) await this.beat();
  }

  /** Again in another one when the sandbox turned out to have died before this. */
  private async onSandbox(): Promise<void> {
    const { bindings } = this.parts;
    const lease = await bindings.lease(this.container);
    if (await this.runOn(lease, lease.stateLost)) return;
    this.logger.warn({ executionId: this.row.id }, 'a sandbox was dead before it was used again');
    const another = await bindings.lease(this.container);
    // Code that ran in the dead one before this has left nothing.
    if (!(await this.runOn(another, !lease.isFresh))) throw new SandboxError('gone', SANDBOXES_ENDED);
  }

  /** False when the sandbox had ended before it began the code, and nothing has happened. */
  private async runOn(lease: Lease, stateLost: boolean): Promise<boolean> {
    try {
      if (stateLost) {
        this.stateLost = true;
        this.note(STATE_LOST);
      }
      if (lease.missing.length > 0) this.note(missingNotice(lease.missing));
      if (this.row.status === 'queued') await this.parts.executions.markRunning(this.row.id);
      // Until all of it is stored, the sandbox holds more than the records; whatever happens in between.
      const settled = lease.markDirty();
      try {
        for await (const event of lease.sandbox.execute(this.code, this.limits())) await this.observe(event);
      } catch (error) {
        const isUntold = this.outputs.list().length === 0;
        if (isUntold && error instanceof SandboxError && error.neverBegun) return false;
        throw error;
      }
      await this.copyImagesIn();
      const report = await this.importFiles(lease);
      this.files = report.files;
      if (report.left.length > 0) this.note(leftNotice(report.left));
      if (!isWorthAnotherTry(report)) settled();
      return true;
    } finally {
      lease.release();
    }
  }

  private async importFiles(lease: Lease): Promise<ImportReport> {
    const { importer } = this.parts;
    const limitMs = Math.max(IMPORT_MS, this.row.timeoutMs);
    const report = await importer.importChanges(lease.target, lease.sandbox, this.end?.files ?? [], limitMs);
    if (!(this.end?.filesTruncated ?? true)) return report;
    const rest = await importer.importAll(lease.target, lease.sandbox, limitMs);
    return { files: [...report.files, ...rest.files], left: [...report.left, ...rest.left] };
  }

  /** Figures are files of the container; one that its disk has no room for is kept outside all the same. */
  private async copyImagesIn(): Promise<void> {
    for (const image of this.images) {
      try {
        await this.parts.persistence.untilStored(() => this.parts.bindings.copyIn(image));
      } catch (error) {
        // Whatever it was: the code has ended as it has, and its own files are still to be stored.
        this.logger.warn(
          { err: error, executionId: this.row.id },
          'a figure was not copied into its container',
        );
        const isFull = error instanceof SandboxError && error.code === 'no_space';
        const why = isFull
          ? 'the disk of the container is full'
          : 'it could not be copied into the container';
        this.note({
          code: 'image_not_in_container',
          message: `A figure was kept as ${image.id}, but not under ${image.path}: ${why}.`,
        });
      }
    }
  }

  private limits(): Parameters<Sandbox['execute']>[1] {
    const { env } = this.parts;
    return {
      timeoutMs: this.row.timeoutMs,
      maxOutputBytes: env.EXECUTION_MAX_OUTPUT_BYTES,
      maxImages: env.EXECUTION_MAX_IMAGES,
      maxImageBytes: env.EXECUTION_MAX_IMAGE_BYTES,
      ...(this.values && { values: { ...this.values, maxValueBytes: env.EXECUTION_MAX_VALUE_BYTES } }),
      signal: this.signal,
    };
  }

  private async observe(event: ExecutionEvent): Promise<void> {
    if (event.type === 'finished') {
      this.end = event;
      return;
    }
    if (event.type === 'value') {
      this.value = readValue(event);
      if (this.value === null) this.note(UNREADABLE_VALUE);
      return;
    }
    if (event.type === 'error') this.errorName = storableText(event.name);
    if (event.type !== 'image') return this.tell(storableOutput(event));
    try {
      this.tell(await this.keepImage(event));
    } catch (error) {
      this.logger.warn({ err: error, executionId: this.row.id }, 'a figure could not be kept');
      const reason = error instanceof ApiError ? error.message : 'It could not be stored.';
      this.note({ code: 'image_not_kept', message: `A figure was not kept. ${reason}` });
    }
  }

  /** A shown figure becomes a file of the container, named after its id. */
  private async keepImage(image: Extract<ExecutionEvent, { type: 'image' }>): Promise<ExecutionOutput> {
    const { blobs, files, persistence } = this.parts;
    const { id: containerId, projectId } = this.container;
    const id = newId.containerFile();
    const path = `${DATA_DIR}/${id}.${image.mimeType === 'image/png' ? 'png' : 'jpg'}`;
    const row = await persistence.untilStored(() =>
      blobs.within(projectId, async (writer) => {
        const { sha256: blobSha256, bytes } = await writer.write(image.data);
        const source = 'assistant' as const;
        return files.upsert({ id, containerId, projectId, path, bytes: BigInt(bytes), blobSha256, source });
      }),
    );
    this.images.push(row);
    return storableOutput({
      type: 'image',
      file_id: row.id,
      mime_type: image.mimeType,
      bytes: image.data.length,
      ...(image.title === undefined ? {} : { title: image.title }),
      ...(image.savedAs === undefined ? {} : { saved_as: image.savedAs }),
    });
  }

  private tell(output: ExecutionOutput): void {
    this.outputs.add(output);
    this.feed.push({ type: 'output', output });
  }

  private note(notice: Notice): void {
    this.tell({ type: 'notice', ...notice });
  }

  private explain(error: unknown): string {
    if (error instanceof ApiError) return error.message;
    this.logger.error({ err: error, containerId: this.container.id }, 'an execution could not be run');
    if (error instanceof SandboxError) return error.message;
    return 'The sandbox failed while this code ran. Files written before are kept; run it again.';
  }

  /** Writes the end once; waits for a database that is away. */
  private write(end: ExecutionEnd): Promise<ExecutionRow> {
    const { executions, persistence } = this.parts;
    return persistence.untilStored(() => executions.finish(this.row, end));
  }

  private ending(failure: ExecutionState | null) {
    const { end, files } = this;
    return {
      status: failure ?? end?.status ?? 'failed',
      outputs: this.outputs.list(),
      files: files.map(({ row: file, change }) => ({
        id: file.id,
        path: storableText(file.path),
        bytes: Number(file.bytes),
        change,
      })),
      // Code that was stopped, or that raised after all, gives nothing back.
      value: failure === null && end?.status === 'completed' && this.errorName === null ? this.value : null,
      errorName: this.errorName,
      stateLost: this.stateLost || (end?.stateLost ?? false),
      durationMs: end ? Math.round(end.durationMs) : null,
      peakMemoryBytes: end ? BigInt(Math.round(end.peakMemoryBytes)) : null,
    } satisfies ExecutionEnd;
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
