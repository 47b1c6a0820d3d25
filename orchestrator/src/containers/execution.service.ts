/**
 * Runs code in a container. One execution at a time per container: the next one waits its turn.
 * Everything the code leaves behind is safe (files in the blob store, outputs in the row) before
 * `finished` is told, whether anybody still listens or not.
 */
import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { ApiError, notFound } from '../common/api-error.js';
import { newId } from '../common/ids.js';
import { KeyedMutex } from '../common/mutex.js';
import type { Page, PageQuery } from '../common/pagination.js';
import { settledWithin } from '../common/settled-within.js';
import { storableText } from '../common/text.js';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { Metrics } from '../observability/metrics.service.js';
import type { RunningWork } from '../sandboxes/running-work.js';
import { noteSubject } from '../idempotency/subjects.js';
import { ContainerFileRepository, type ContainerFileRow } from './container-file.repository.js';
import type { ContainerRow } from './container.repository.js';
import { ExecutionRun, type FinishedRun, type RunEvent } from './execution-run.js';
import { type ExecutionObject, presentExecution } from './execution.presenter.js';
import { ExecutionRepository, type ExecutionRow } from './execution.repository.js';
import { SERVER_RESTARTED } from './notices.js';
import { RunParts } from './run-parts.js';

export { type ExecutionOutput, toCallOutputs } from './execution-outputs.js';
export type { FinishedRun, RunEvent } from './execution-run.js';
export type { ImportedFile } from './file-importer.js';

/** Milliseconds that interrupted code has at a stop until its end is written down. */
const LAST_WORDS_MS = 5_000;
/** Milliseconds; a row that is younger may belong to a request that has not come to run it yet. */
const YOUNG_MS = 60_000;
/** Bytes of code and outputs on one page of a list. */
const PAGE_BYTES = 4_194_304;

export interface RunOptions {
  readonly timeoutMs?: number | undefined;
  readonly responseId?: string | undefined;
  /** Aborting interrupts the code. */
  readonly signal?: AbortSignal | undefined;
}

interface Running {
  readonly run: ExecutionRun;
  readonly over: Promise<void>;
}

@Injectable()
export class ExecutionService implements RunningWork, OnApplicationBootstrap {
  private readonly logger = new Logger(ExecutionService.name);
  private readonly turns = new KeyedMutex();
  private readonly running = new Map<string, Running>();
  private isStopping = false;

  constructor(
    private readonly executions: ExecutionRepository,
    private readonly files: ContainerFileRepository,
    private readonly metrics: Metrics,
    private readonly parts: RunParts,
    @Inject(ENV) private readonly env: Env,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const count = await this.executions.failAbandoned(SERVER_RESTARTED, []);
    if (count > 0) this.logger.warn({ count }, 'executions of an earlier run were cut off');
  }

  /**
   * Runs code and tells what happens. Rejects before the first event only if nothing was run. A reader who
   * stops early interrupts the code; what it left by then is stored all the same.
   */
  async *run(container: ContainerRow, code: string, options: RunOptions = {}): AsyncGenerator<RunEvent> {
    if (this.isStopping) throw new ApiError('draining', 'The server is stopping. Please retry in a moment.');
    const isIdle = !this.turns.isBusy(container.id);
    const turn = this.turns.acquire(container.id);
    let run: ExecutionRun;
    try {
      const row = await this.insert(container, code, options, isIdle);
      run = new ExecutionRun(this.parts, container, row, code, options.signal);
      this.start(row, run, turn);
    } catch (error) {
      void turn.then((end) => end());
      throw error;
    }
    yield* run.events();
  }

  /** Runs code and waits for its end; for callers that want no live output. */
  async runToEnd(container: ContainerRow, code: string, options: RunOptions = {}): Promise<FinishedRun> {
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

  /** A page may hold fewer than `limit` when they are large; `has_more` tells whether others follow. */
  async list(container: ContainerRow, query: PageQuery): Promise<Page<ExecutionObject>> {
    const after =
      query.after === undefined ? undefined : await this.executions.find(container.id, query.after);
    if (query.after !== undefined && !after) throw notFound.cursor();
    const { rows, hasMore } = await this.executions.list({
      containerId: container.id,
      afterSeq: after?.seq,
      limit: query.limit,
      order: query.order,
      maxBytes: PAGE_BYTES,
    });
    return {
      object: 'list',
      data: rows.map(presentExecution),
      first_id: rows[0]?.id ?? null,
      last_id: rows.at(-1)?.id ?? null,
      has_more: hasMore,
    };
  }

  /** Interrupts a running execution; one that has ended stays as it is. */
  async cancel(container: ContainerRow, id: string): Promise<ExecutionObject> {
    const found = await this.get(container, id);
    this.running.get(id)?.run.interrupt();
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

  async settle(ms: number): Promise<void> {
    this.isStopping = true;
    const over = Promise.allSettled([...this.running.values()].map((running) => running.over));
    await settledWithin(ms, over);
    for (const { run } of this.running.values()) run.interrupt();
    await settledWithin(LAST_WORDS_MS, over);
  }

  /** Closes rows that look as if they still ran, though nothing here runs them; called by the sweep. */
  async sweep(): Promise<number> {
    const before = new Date(Date.now() - YOUNG_MS);
    return this.executions.failAbandoned(
      { code: 'execution_lost', message: 'The server lost this execution. Please run the code again.' },
      [...this.running.keys()],
      before,
    );
  }

  private start(row: ExecutionRow, run: ExecutionRun, turn: Promise<() => void>): void {
    const over = run.go(turn).then(({ execution }) => {
      this.running.delete(row.id);
      this.metrics.executionFinished(execution.status, execution.durationMs);
    });
    this.running.set(row.id, { run, over });
  }

  private async insert(
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
    await noteSubject(row.id);
    return this.executions.insert(row, isIdle);
  }
}
