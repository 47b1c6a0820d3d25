/**
 * Responses that run without a client. The job delivers, the row decides: whoever claims the row
 * runs it, writes every event under its claim, and stops when another attempt has taken over.
 */
import { Inject, Injectable, Logger } from '@nestjs/common';
import { ApiError } from '../../common/api-error.js';
import { renewalMs } from '../../common/lease-keeper.js';
import { retry } from '../../common/retry.js';
import { ENV } from '../../config/config.module.js';
import type { Env } from '../../config/env.schema.js';
import { ExecutionRecords } from '../../containers/execution-records.service.js';
import { isDatabaseOutage } from '../../common/database-errors.js';
import { DrainService } from '../../drain/drain.service.js';
import { RunSlots } from '../../limits/run-slots.js';
import { JobScheduler } from '../../queues/job-scheduler.js';
import { QUEUES } from '../../queues/queue-names.js';
import { QueuesLifecycle } from '../../queues/queues.lifecycle.js';
import {
  type Claim,
  FencedError,
  ResponseLeaseRepository,
  type Waiting,
} from '../record/response-lease.repository.js';
import { ResponseRepository } from '../record/response.repository.js';
import type { CreateResponseRequest } from '../response.schema.js';
import { isTerminal } from '../record/response.state.js';
import type { DraftEvent, ResponseObject, StreamEvent } from '../response.types.js';
import { type PreparedRun, RunFactory } from '../run/run-factory.js';
import type { Resumed } from '../run/response-run.js';
import { Sequencer } from '../record/sequencer.js';
import type { RunDraft, TurnEnd } from '../record/turn-end.js';
import { type Batch, EventLogRepository, type Slot } from '../record/event-log.repository.js';
import { EventRecorder } from './event-recorder.js';
import { LiveEvents } from './live-events.js';
import { resume } from './resume.js';
import type { StoredItem } from '../input.schema.js';

export const RUN_RESPONSE = 'run-response';

/** Tries after which a response that keeps taking its server down is given up. */
const MAX_ATTEMPTS = 5;
/** Prepared runs kept in memory until their turn comes; the others are prepared again from the database. */
const MAX_PREPARED = 64;
/** Milliseconds for which events wait for the database before the run is given up, to be taken up again. */
const OUTAGE_MS = 60_000;

/** A response that this process runs. */
interface Running {
  readonly claim: Claim;
  readonly controller: AbortController;
  /** The heartbeat that is under way. */
  beating: Promise<void>;
  /** Set when the claim was given back, because the server stops. */
  released: Promise<void> | null;
}

/** What an earlier process left behind. */
interface Earlier {
  readonly events: readonly StreamEvent[];
  readonly resumed: Resumed | undefined;
}

@Injectable()
export class BackgroundService {
  private readonly logger = new Logger(BackgroundService.name);
  /** Runs accepted by this process, ready to go. */
  private readonly prepared = new Map<string, PreparedRun>();
  private readonly running = new Map<string, Running>();
  /** Keys of which a response waits for another one to end. */
  private readonly waitingKeys = new Set<string>();
  /** Have a slot, and are still queued in the database. */
  private readonly starting = new Set<string>();
  private stopping = false;

  constructor(
    private readonly log: EventLogRepository,
    private readonly leases: ResponseLeaseRepository,
    private readonly live: LiveEvents,
    private readonly responses: ResponseRepository,
    private readonly runs: RunFactory,
    private readonly records: ExecutionRecords,
    private readonly jobs: JobScheduler,
    private readonly slots: RunSlots,
    private readonly drain: DrainService,
    lifecycle: QueuesLifecycle,
    @Inject(ENV) private readonly env: Env,
  ) {
    lifecycle.stopping.on(() => this.letGo());
    slots.released.on((key) => {
      if (this.waitingKeys.has(key)) void this.takeUpNext(key);
    });
    drain.resumed.on(() => void this.takeUpAbandoned().catch((error: unknown) => this.sweepHasIt(error)));
  }

  /** At shutdown: gives back what runs, before it has even stopped, so that the next process takes it up at once. */
  private letGo(): void {
    if (this.stopping) return;
    this.stopping = true;
    for (const running of this.running.values()) {
      running.released = this.giveBack(running);
      running.controller.abort(new Error('the server is stopping'));
    }
  }

  private async giveBack({ claim, beating }: Running): Promise<void> {
    // One that is under way would renew what is given back.
    await beating;
    try {
      await this.leases.release(claim.row.id, claim.attempt);
    } catch (error) {
      this.logger.warn({ err: error, responseId: claim.row.id }, 'a response waits until its lease is over');
    }
  }

  /** Called after the row was written; never fails. The response runs even if the job is lost: the sweep finds the row. */
  enqueue(responseId: string, run: PreparedRun): void {
    if (this.prepared.size < MAX_PREPARED) this.prepared.set(responseId, run);
    void this.ask({ id: responseId, attempt: 0 }).catch((error: unknown) => this.sweepHasIt(error));
  }

  /** Takes up whatever waits or was abandoned; called by the sweep. */
  async takeUpAbandoned(): Promise<number> {
    if (!this.takesWork) return 0;
    const busy = [...this.waitingKeys].filter((key) => this.slots.count(key) > 0);
    const rows = await this.leases.abandoned([...this.running.keys()], busy);
    for (const row of rows) await this.ask(row);
    return rows.length;
  }

  /** The job: claims the row and runs it to its end; does nothing when somebody else has it. */
  async run(responseId: string): Promise<void> {
    // Also when its lease ran out while the database was away: who runs it here goes on, or is fenced.
    if (!this.takesWork || this.running.has(responseId)) return;
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
    this.starting.add(responseId);
    try {
      if (await this.isNext(slot)) await this.claimAndRun(responseId);
      // Its turn comes again with the end of the one before it.
      else this.waitingKeys.add(slot.key);
    } finally {
      this.starting.delete(responseId);
      release();
    }
  }

  /** Jobs arrive in any order; the last free place goes to the response that has waited longest. */
  private async isNext({ key, limit, turn }: Slot): Promise<boolean> {
    if (turn === null || this.slots.isFree(key, limit)) return true;
    return (await this.log.nextQueued(key, turn, [...this.starting])) === null;
  }

  /** What waits is left waiting while the server drains or stops. */
  private get takesWork(): boolean {
    return !this.stopping && !this.drain.isDraining;
  }

  /** One job for each attempt; the job of an attempt that died is in nobody's way. */
  private ask({ id, attempt }: Waiting): Promise<void> {
    return this.jobs.add(QUEUES.responses, RUN_RESPONSE, { responseId: id }, { jobId: `${id}-${attempt}` });
  }

  private sweepHasIt(error: unknown): void {
    this.logger.warn({ err: error }, 'a response that waits its turn waits for the sweep');
  }

  /** The next response of a key that had to wait; called when one of the key's runs has ended. */
  private async takeUpNext(key: string): Promise<void> {
    if (!this.takesWork) return;
    try {
      const next = await this.log.nextQueued(key);
      if (next === null) this.waitingKeys.delete(key);
      else await this.ask(next);
    } catch (error) {
      this.sweepHasIt(error);
    }
  }

  private async claimAndRun(responseId: string): Promise<void> {
    const claim = await this.leases.claim(responseId);
    this.starting.delete(responseId);
    const prepared = this.prepared.get(responseId);
    this.prepared.delete(responseId);
    if (!claim) return;
    const controller = new AbortController();
    const running: Running = { claim, controller, beating: Promise.resolve(), released: null };
    this.running.set(responseId, running);
    // Asked for before this process had it.
    if (claim.row.cancelRequestedAt) controller.abort(new Error('cancelled by the caller'));
    const beat = setInterval(() => this.beat(running), renewalMs(this.env.RESPONSE_LEASE_SECONDS));
    try {
      // The stop came while it was claimed.
      if (this.stopping) running.released = this.giveBack(running);
      else await this.follow(claim, prepared, controller.signal);
    } catch (error) {
      controller.abort(error);
      if (error instanceof FencedError) {
        this.logger.warn({ responseId }, 'another attempt took this response over');
      } else if (claim.attempt > MAX_ATTEMPTS) {
        await this.endAnyhow(claim, error);
      } else throw error;
    } finally {
      clearInterval(beat);
      await running.released;
      this.running.delete(responseId);
      this.live.wake(responseId);
    }
  }

  /** When even the events that would tell of the failure cannot be written: it must not stay in progress. */
  private async endAnyhow({ row, attempt }: Claim, error: unknown): Promise<void> {
    this.logger.error({ err: error, responseId: row.id }, 'a response is given up without its last events');
    const message = 'The server could not go on with this response. It is not tried again.';
    const end = {
      ...(row.body as unknown as ResponseObject),
      status: 'failed' as const,
      error: { code: 'server_error', message },
      output: [],
    };
    await this.log.append(row.id, attempt, { events: [], turn: null, end });
  }

  /** Stops it wherever it runs; resolves when it has ended, or after `waitMs`. */
  async cancel(projectId: string, responseId: string, waitMs = 10_000): Promise<void> {
    await this.log.requestCancel(responseId);
    const row = await this.responses.find(projectId, responseId);
    if (row?.status === 'queued' && (await this.endQueued(row.body as unknown as ResponseObject))) return;
    this.running.get(responseId)?.controller.abort(new Error('cancelled by the caller'));
    const deadline = AbortSignal.timeout(waitMs);
    while (!deadline.aborted) {
      const status = await this.log.statusOf(projectId, responseId);
      if (!status || isTerminal(status)) return;
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
    const { row } = claim;
    const initial = { ...(row.body as unknown as ResponseObject), status: 'queued' as const, output: [] };
    const earlier = await this.earlier(claim);
    const sequencer = Sequencer.resume(initial, earlier.events, earlier.resumed?.dropped);
    const recorder = new EventRecorder((batch) => this.write(claim, batch));
    for await (const draft of this.drafts(claim, prepared, earlier, signal)) {
      if (this.stopping) break;
      if (draft.type === 'turn.ended') {
        recorder.mark(draft.turn);
        continue;
      }
      const event = sequencer.next(draft);
      await recorder.add(event, isTerminal(sequencer.response.status) ? sequencer.response : null);
    }
    await recorder.flush();
  }

  private async write({ row, attempt }: Claim, batch: Batch): Promise<void> {
    await retry(() => this.log.append(row.id, attempt, batch), {
      forMs: OUTAGE_MS,
      isFinal: (error) => this.stopping || !isDatabaseOutage(error),
      onFailure: (err) =>
        this.logger.warn({ err, responseId: row.id }, 'events of a response wait for the database'),
    });
    this.live.wake(row.id);
  }

  private async *drafts(
    claim: Claim,
    prepared: PreparedRun | undefined,
    { events, resumed }: Earlier,
    signal: AbortSignal,
  ): AsyncGenerator<RunDraft> {
    const { row } = claim;
    if (claim.attempt > MAX_ATTEMPTS) {
      yield* this.giveUp(
        resumed,
        `The server stopped ${MAX_ATTEMPTS} times while it ran this response. It is not tried again.`,
      );
      return;
    }
    let run: PreparedRun;
    try {
      run = prepared ?? (await this.prepareAgain(claim));
    } catch (error) {
      // What is not wrong with the request may be mended when it is tried again.
      if (!(error instanceof ApiError)) throw error;
      this.logger.warn({ err: error, responseId: row.id }, 'a response could not be taken up again');
      yield* this.giveUp(resumed, error.message);
      return;
    }
    const files = events.length > 0 ? await this.records.filesOfResponse(row.id) : [];
    yield* run.start(row.id, signal, resumed, files).events();
  }

  private async *giveUp(resumed: Resumed | undefined, message: string): AsyncGenerator<DraftEvent> {
    if (!resumed) {
      yield { type: 'response.created' };
      yield { type: 'response.queued' };
    } else {
      yield* resumed.closings;
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
    const request = row.request as unknown as CreateResponseRequest;
    const input = (await this.responses.items(row.id, 'input')).map(
      (item) => item.item as unknown as StoredItem,
    );
    const containers = await this.records.containersOfResponse(row.id);
    const model = await this.runs.check(request);
    return this.runs.prepare(row.projectId, request, model, { attempt: { input, containers } });
  }

  private async earlier({ row }: Claim): Promise<Earlier> {
    const events = await this.earlierEvents(row.id);
    if (events.length === 0) return { events, resumed: undefined };
    const files = await this.records.filesOfResponse(row.id);
    const told = files.map(({ path, bytes }) => ({ path, bytes: Number(bytes) }));
    return { events, resumed: resume(events, row.turn as unknown as TurnEnd | null, told) };
  }

  private async earlierEvents(id: string): Promise<StreamEvent[]> {
    const all: StreamEvent[] = [];
    for (;;) {
      const batch = await this.log.read(id, all.at(-1)?.sequence_number ?? -1, 1000);
      if (batch.length === 0) return all;
      all.push(...batch);
    }
  }

  private beat(running: Running): void {
    if (!this.stopping) running.beating = this.renew(running);
  }

  private async renew({ claim, controller }: Running): Promise<void> {
    try {
      const { cancelRequested } = await this.leases.heartbeat(claim.row.id, claim.attempt);
      if (cancelRequested) controller.abort(new Error('cancelled by the caller'));
    } catch (error) {
      if (error instanceof FencedError) controller.abort(error);
      else this.logger.warn({ err: error, responseId: claim.row.id }, 'the heartbeat of a response failed');
    }
  }
}
