/**
 * Responses that run without a client. The job delivers, the row decides: whoever claims the row
 * runs it, writes every event under its claim, and stops when another attempt has taken over.
 */
import { Injectable, Logger } from '@nestjs/common';
import { ExecutionService } from '../../containers/execution.service.js';
import { RunSlots } from '../../limits/run-slots.js';
import { JobScheduler } from '../../queues/job-scheduler.js';
import { QUEUES } from '../../queues/queue-names.js';
import { QueuesLifecycle } from '../../queues/queues.lifecycle.js';
import type { StoredItem } from '../context/context.service.js';
import { ResponseRepository } from '../response.repository.js';
import type { CreateResponseRequest } from '../response.schema.js';
import { isTerminal } from '../response.state.js';
import type { DraftEvent, ResponseObject, StreamEvent } from '../response.types.js';
import { type PreparedRun, RunFactory } from '../run-factory.js';
import { Sequencer } from '../run/sequencer.js';
import { type Claim, EventLogRepository, FencedError, LEASE_SECONDS } from './event-log.repository.js';
import { EventRecorder } from './event-recorder.js';
import { LiveEvents } from './live-events.js';
import { resume } from './resume.js';

export const RUN_RESPONSE = 'run-response';

const HEARTBEAT_MS = (LEASE_SECONDS * 1000) / 3;
/** Tries after which a response that keeps taking its server down is given up. */
const MAX_ATTEMPTS = 5;

@Injectable()
export class BackgroundService {
  private readonly logger = new Logger(BackgroundService.name);
  /** Runs accepted by this process, ready to go; another process prepares them again. */
  private readonly prepared = new Map<string, PreparedRun>();
  private readonly running = new Map<string, AbortController>();
  /** Keys of which a response waits for another one to end. */
  private readonly waitingKeys = new Set<string>();
  private stopping = false;

  constructor(
    private readonly log: EventLogRepository,
    private readonly live: LiveEvents,
    private readonly responses: ResponseRepository,
    private readonly runs: RunFactory,
    private readonly executions: ExecutionService,
    private readonly jobs: JobScheduler,
    private readonly slots: RunSlots,
    lifecycle: QueuesLifecycle,
  ) {
    lifecycle.onStopping(() => this.letGo());
    slots.onRelease((key) => {
      if (this.waitingKeys.has(key)) void this.takeUpNext(key);
    });
  }

  /** At shutdown: lets go of what runs, so that the next process takes it up at once. */
  private letGo(): void {
    this.stopping = true;
    for (const controller of this.running.values()) controller.abort(new Error('the server is stopping'));
  }

  /** Called after the row was written. The response runs even if the job is lost: the sweep finds the row. */
  async enqueue(responseId: string, run: PreparedRun): Promise<void> {
    this.prepared.set(responseId, run);
    await this.jobs.add(QUEUES.responses, RUN_RESPONSE, { responseId });
  }

  /** Takes up whatever waits or was abandoned; called by the sweep. */
  async takeUpAbandoned(): Promise<number> {
    const busy = [...this.waitingKeys].filter((key) => this.slots.count(key) > 0);
    const rows = await this.log.abandoned(busy);
    for (const { id } of rows) await this.jobs.add(QUEUES.responses, RUN_RESPONSE, { responseId: id });
    return rows.length;
  }

  /** The job: claims the row and runs it to its end; does nothing when somebody else has it. */
  async run(responseId: string): Promise<void> {
    if (this.stopping) return;
    const slot = await this.log.slotOf(responseId);
    if (!slot) {
      this.prepared.delete(responseId);
      return;
    }
    const release = this.slots.tryTake(slot.key, slot.limit);
    if (!release) {
      this.waitingKeys.add(slot.key);
      return;
    }
    try {
      await this.claimAndRun(responseId);
    } finally {
      release();
    }
  }

  /** The next response of a key that had to wait; called when one of the key's runs has ended. */
  private async takeUpNext(key: string): Promise<void> {
    if (this.stopping) return;
    try {
      const next = await this.log.nextQueued(key);
      if (next === null) this.waitingKeys.delete(key);
      else await this.jobs.add(QUEUES.responses, RUN_RESPONSE, { responseId: next });
    } catch (error) {
      this.logger.warn({ err: error }, 'a response that waits its turn waits for the sweep');
    }
  }

  private async claimAndRun(responseId: string): Promise<void> {
    const claim = await this.log.claim(responseId);
    const prepared = this.prepared.get(responseId);
    this.prepared.delete(responseId);
    if (!claim) return;
    const controller = new AbortController();
    this.running.set(responseId, controller);
    // Asked for before this process had it.
    if (claim.row.cancelRequestedAt) controller.abort(new Error('cancelled by the caller'));
    const beat = setInterval(() => void this.beat(claim, controller), HEARTBEAT_MS);
    try {
      await this.follow(claim, prepared, controller.signal);
    } catch (error) {
      controller.abort(error);
      if (error instanceof FencedError) {
        this.logger.warn({ responseId }, 'another attempt took this response over');
      } else if (claim.attempt > MAX_ATTEMPTS) {
        await this.endAnyhow(claim, error);
      } else throw error;
    } finally {
      clearInterval(beat);
      this.running.delete(responseId);
      this.live.wake(responseId);
    }
  }

  /** When even the events that would tell of the failure cannot be written: it must not stay in progress. */
  private async endAnyhow({ row, attempt }: Claim, error: unknown): Promise<void> {
    this.logger.error({ err: error, responseId: row.id }, 'a response is given up without its last events');
    const message = 'The server could not go on with this response. It is not tried again.';
    await this.log.append(row.id, attempt, [], {
      ...(row.body as unknown as ResponseObject),
      status: 'failed',
      error: { code: 'server_error', message },
      output: [],
    });
  }

  /** Stops it wherever it runs; resolves when it has ended, or after `waitMs`. */
  async cancel(projectId: string, responseId: string, waitMs = 10_000): Promise<void> {
    await this.log.requestCancel(responseId);
    const row = await this.responses.find(projectId, responseId);
    if (row?.status === 'queued' && (await this.endQueued(row.body as unknown as ResponseObject))) return;
    this.running.get(responseId)?.abort(new Error('cancelled by the caller'));
    const deadline = AbortSignal.timeout(waitMs);
    while (!deadline.aborted) {
      const now = await this.responses.find(projectId, responseId);
      if (!now || isTerminal(now.status)) return;
      await this.live.next(responseId, deadline);
    }
  }

  private async endQueued(body: ResponseObject): Promise<boolean> {
    const sequencer = new Sequencer({ ...body, output: [] });
    const drafts: DraftEvent[] = [
      { type: 'response.created' },
      { type: 'response.queued' },
      { type: 'response.failed', status: 'cancelled', error: null, usage: null },
    ];
    const events = drafts.map((draft) => sequencer.next(draft));
    const ended = await this.log.endQueued(sequencer.response, events);
    if (ended) this.live.wake(body.id);
    return ended;
  }

  private async follow(claim: Claim, prepared: PreparedRun | undefined, signal: AbortSignal): Promise<void> {
    const { row, attempt } = claim;
    const initial = { ...(row.body as unknown as ResponseObject), status: 'queued' as const, output: [] };
    const earlier = await this.earlierEvents(row.id);
    const sequencer = Sequencer.resume(initial, earlier);
    const recorder = new EventRecorder(async (events, end) => {
      await this.log.append(row.id, attempt, events, end);
      this.live.wake(row.id);
    });
    for await (const draft of this.drafts(claim, prepared, earlier, signal)) {
      if (this.stopping) break;
      const event = sequencer.next(draft);
      await recorder.add(event, isTerminal(sequencer.response.status) ? sequencer.response : null);
    }
    await recorder.flush();
    if (this.stopping) await this.log.release(row.id, attempt);
  }

  private async *drafts(
    claim: Claim,
    prepared: PreparedRun | undefined,
    earlier: readonly StreamEvent[],
    signal: AbortSignal,
  ): AsyncGenerator<DraftEvent> {
    const { row } = claim;
    if (claim.attempt > MAX_ATTEMPTS) {
      yield* this.giveUp(
        earlier,
        `The server stopped ${MAX_ATTEMPTS} times while it ran this response. It is not tried again.`,
      );
      return;
    }
    let run: PreparedRun;
    try {
      run = prepared ?? (await this.prepareAgain(claim));
    } catch (error) {
      this.logger.warn({ err: error, responseId: row.id }, 'a response could not be taken up again');
      yield* this.giveUp(earlier, (error as Error).message);
      return;
    }
    const files = earlier.length > 0 ? await this.executions.filesOfResponse(row.id) : [];
    const told = files.map(({ path, bytes }) => ({ path, bytes: Number(bytes) }));
    const resumed = earlier.length > 0 ? resume(earlier, told) : undefined;
    yield* run.start(row.id, signal, resumed, files).events();
  }

  private async *giveUp(earlier: readonly StreamEvent[], message: string): AsyncGenerator<DraftEvent> {
    if (earlier.length === 0) {
      yield { type: 'response.created' };
      yield { type: 'response.queued' };
    } else {
      yield* resume(earlier, []).closings;
    }
    yield {
      type: 'response.failed',
      status: 'failed',
      error: { code: 'server_error', message },
      usage: null,
    };
  }

  private async prepareAgain(claim: Claim): Promise<PreparedRun> {
    const { row } = claim;
    const input = (await this.responses.items(row.id, 'input')).map(
      (item) => item.item as unknown as StoredItem,
    );
    const containers = await this.executions.containersOfResponse(row.id);
    return this.runs.prepare(row.projectId, row.request as unknown as CreateResponseRequest, {
      input,
      containers,
    });
  }

  private async earlierEvents(id: string): Promise<StreamEvent[]> {
    const all: StreamEvent[] = [];
    for (;;) {
      const batch = await this.log.read(id, all.at(-1)?.sequence_number ?? -1, 1000);
      if (batch.length === 0) return all;
      all.push(...batch);
    }
  }

  private async beat(claim: Claim, controller: AbortController): Promise<void> {
    try {
      const { cancelRequested } = await this.log.heartbeat(claim.row.id, claim.attempt);
      if (cancelRequested) controller.abort(new Error('cancelled by the caller'));
    } catch (error) {
      if (error instanceof FencedError) controller.abort(error);
      else this.logger.warn({ err: error, responseId: claim.row.id }, 'the heartbeat of a response failed');
    }
  }
}
