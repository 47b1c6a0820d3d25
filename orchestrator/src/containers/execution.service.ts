/**
 * Runs code in a container. One execution at a time per container: the next one waits its turn.
 * Everything the code leaves behind is safe (files in the blob store, outputs in the row) before
 * `finished` is told, whether anybody still listens or not.
 */
import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { ApiError, notFound } from '../common/api-error.js';
import { newId } from '../common/ids.js';
import { KeyedMutex } from '../common/mutex.js';
import { settledWithin } from '../common/settled-within.js';
import { storableText } from '../common/text.js';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { Metrics } from '../observability/metrics.service.js';
import type { RunningWork } from '../sandboxes/running-work.js';
import { noteSubject } from '../idempotency/subjects.js';
import type { ContainerRow } from './container.repository.js';
import { ExecutionRun, type FinishedRun, type RunEvent, type RunOptions } from './execution-run.js';
import { type ExecutionObject, presentExecution } from './execution.presenter.js';
import { ExecutionRepository, type ExecutionRow } from './execution.repository.js';
import { SERVER_RESTARTED } from './notices.js';
import { RunParts } from './run-parts.js';

export type { ExecutionOutput } from './execution-outputs.js';
export type { FinishedRun, RunEvent, RunOptions } from './execution-run.js';
export type { ImportedFile } from './file-importer.js';

/** Milliseconds that interrupted code has at a stop until its end is written down. */
const LAST_WORDS_MS = 5_000;
/** Milliseconds; a row that is younger may belong to a request that has not come to run it yet. */
const YOUNG_MS = 60_000;

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
      run = new ExecutionRun(this.parts, container, row, code, options);
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

  /** Interrupts a running execution; one that has ended stays as it is. */
  async cancel(container: ContainerRow, id: string): Promise<ExecutionObject> {
    const found = await this.executions.find(container.id, id);
    if (!found) throw notFound.execution(id);
    this.running.get(id)?.run.interrupt();
    return presentExecution(found);
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
