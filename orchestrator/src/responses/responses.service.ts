import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import type { Caller } from '../auth/caller.js';
import { ApiError, notFound } from '../common/api-error.js';
import { newId } from '../common/ids.js';
import type { Page, PageQuery } from '../common/pagination.js';
import { BlobsService } from '../storage/blobs.service.js';
import { WebhookTargets } from '../webhooks/target/target.service.js';
import { DatabaseClock } from '../database/clock.js';
import { noteSubject } from '../idempotency/subjects.js';
import { BackgroundService } from './background/background.service.js';
import { EventLogRepository } from './record/event-log.repository.js';
import { EventStream } from './background/event-stream.js';
import { ContextService } from './context/context.service.js';
import { type ConversationLock, ConversationLookup } from './conversation.lookup.js';
import { newResponse } from './record/new-response.js';
import { ResponsePresenter } from './response.presenter.js';
import { type NewResponseRow, ResponseRepository, type ResponseRow } from './record/response.repository.js';
import type { CreateResponseRequest, Include } from './response.schema.js';
import { isRunning, isTerminal } from './record/response.state.js';
import type { ResponseObject, StreamEvent } from './response.types.js';
import { ResponseRecorder } from './record/response-recorder.js';
import { type PreparedRun, RunFactory } from './run/run-factory.js';
import { WaitingRuns } from './run/waiting-runs.js';

const CONVERSATION_LOST =
  'Another response took over the conversation while this one could not reach the database. Please send the request again.';

/** A request that was found good; its row is there. */
interface Accepted {
  readonly initial: ResponseObject;
  readonly prepared: PreparedRun;
  readonly lock: ConversationLock | null;
}

@Injectable()
export class ResponsesService implements OnApplicationBootstrap {
  private readonly logger = new Logger(ResponsesService.name);

  constructor(
    private readonly waiting: WaitingRuns,
    private readonly runs: RunFactory,
    private readonly recorder: ResponseRecorder,
    private readonly responses: ResponseRepository,
    private readonly context: ContextService,
    private readonly presenter: ResponsePresenter,
    private readonly background: BackgroundService,
    private readonly events: EventStream,
    private readonly log: EventLogRepository,
    private readonly conversations: ConversationLookup,
    private readonly targets: WebhookTargets,
    private readonly blobs: BlobsService,
    private readonly clock: DatabaseClock,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const count = await this.waiting.failAbandoned(true);
    if (count > 0) this.logger.warn({ count }, 'responses of an earlier run were cut off');
  }

  /**
   * Accepts a request and returns its events, as the caller asked to see them. Rejects with what is
   * wrong with the request; once events flow, failures are events (docs/contract/responses.md). `signal` is the
   * caller going away: it ends the run, unless that is in the background, where it only ends the
   * stream.
   */
  async create(
    caller: Caller,
    request: CreateResponseRequest,
    signal: AbortSignal,
  ): Promise<AsyncGenerator<StreamEvent>> {
    const { projectId } = caller;
    const accepted = await this.accept(caller, request);
    const { initial, prepared } = accepted;
    const include = request.include ?? [];
    if (initial.background) {
      this.background.enqueue(initial.id, prepared);
      return this.show(projectId, this.events.follow(projectId, initial.id, -1, signal), include);
    }
    return this.show(projectId, this.run(accepted, signal), include);
  }

  /** The same without a stream: its last snapshot, or at once the queued response. */
  async createAndWait(
    caller: Caller,
    request: CreateResponseRequest,
    signal: AbortSignal,
  ): Promise<ResponseObject> {
    if (request.background) {
      const { initial, prepared } = await this.accept(caller, request);
      this.background.enqueue(initial.id, prepared);
      return initial;
    }
    let last: ResponseObject | undefined;
    for await (const event of await this.create(caller, request, signal)) last = event.response ?? last;
    if (!last) throw new ApiError('server_error', 'The response ended without a result.');
    // Nothing was said yet: this is an error of the request, which a client reads as one.
    if (last.error?.code === 'context_length_exceeded' && last.output.length === 0)
      throw new ApiError('context_length_exceeded', last.error.message, { param: 'input' });
    return last;
  }

  /** Replays a background response after `startingAfter` and goes on live (docs/contract/background.md). */
  async stream(
    projectId: string,
    id: string,
    startingAfter: number,
    include: readonly Include[],
    signal: AbortSignal,
  ): Promise<AsyncGenerator<StreamEvent>> {
    const row = await this.find(projectId, id);
    if (!row.background || !row.streamed) {
      throw new ApiError(
        'invalid_request',
        `This response cannot be streamed because it was not created with ${row.background ? 'stream=true' : 'background=true'}.`,
        { param: 'stream' },
      );
    }
    if (isTerminal(row.status) && !(await this.log.hasEvents(id))) {
      throw new ApiError(
        'invalid_request',
        'The events of this response are not kept any more. Retrieve it without stream.',
        { param: 'stream' },
      );
    }
    return this.show(projectId, this.events.follow(projectId, id, startingAfter, signal), include);
  }

  /** Ends a background response (docs/contract/background.md). */
  async cancel(projectId: string, id: string): Promise<ResponseObject> {
    const row = await this.find(projectId, id);
    if (!row.background) throw new ApiError('invalid_request', 'Cannot cancel a synchronous response.');
    if (isRunning(row.status)) await this.background.cancel(projectId, id);
    else if (row.status !== 'cancelled') {
      const article = row.status === 'incomplete' ? 'an' : 'a';
      throw new ApiError('invalid_request', `Cannot cancel ${article} ${row.status} response.`);
    }
    return this.retrieve(projectId, id, []);
  }

  async retrieve(projectId: string, id: string, include: readonly Include[]): Promise<ResponseObject> {
    const row = await this.find(projectId, id);
    const output = this.responses.outputOf(await this.responses.items(id, 'output'));
    return this.presenter.response(
      projectId,
      // The body is written at the beginning and at the end; what is in between is in the column.
      { ...(row.body as unknown as ResponseObject), status: row.status, output },
      include,
    );
  }

  async delete(projectId: string, id: string): Promise<void> {
    const row = await this.find(projectId, id);
    if (isRunning(row.status))
      throw new ApiError('invalid_request', 'Cannot delete an in-progress response.');
    if (!(await this.responses.markDeleted(id))) throw notFound.response(id);
    await this.blobs.freeUnused();
  }

  /** Input items, those inherited through `previous_response_id` included (docs/contract/responses.md). */
  async inputItems(
    projectId: string,
    id: string,
    query: PageQuery & { include: readonly Include[] },
  ): Promise<Page<unknown>> {
    await this.find(projectId, id);
    const { items, hasMore } = await this.context.listed(projectId, id, query);
    return {
      object: 'list',
      data: await this.presenter.items(projectId, items, query.include),
      first_id: items[0]?.id ?? null,
      last_id: items.at(-1)?.id ?? null,
      has_more: hasMore,
    };
  }

  /** A run that a client waits for. */
  private async *run({ initial, prepared, lock }: Accepted, gone: AbortSignal): AsyncGenerator<StreamEvent> {
    const run = this.waiting.begin(initial, gone);
    lock?.lost.addEventListener('abort', () => run.fail(CONVERSATION_LOST));
    try {
      yield* this.recorder.follow(initial, prepared.input, prepared.start(initial.id, run.signal).events());
    } finally {
      run.end();
      lock?.leave();
    }
  }

  /**
   * Checks the request, cheap things first; then locks its conversation, for what is read of it must not
   * change before this response has added its turn; then prepares the run and makes the row.
   */
  private async accept(caller: Caller, asked: CreateResponseRequest): Promise<Accepted> {
    const { projectId } = caller;
    this.refuseUnsupported(asked);
    const model = await this.runs.check(asked);
    // The record names the model behind `default`, and a run that is taken up again keeps it.
    const request = { ...asked, model: model.id };
    if (request.callback_url !== undefined) await this.targets.check(request.callback_url, 'callback_url');
    const createdAt = this.clock.now();
    const initial = newResponse(newId.response(), request, createdAt);
    const { conversation } = initial;
    const lock = conversation ? await this.conversations.lock(projectId, conversation.id, initial.id) : null;
    try {
      const prepared = initial.store
        ? await this.blobs.within(projectId, async (writer) => {
            const run = await this.runs.prepare(projectId, request, model, { writer });
            await noteSubject(initial.id);
            await this.responses.insert(toRow(caller, request, initial, run, createdAt));
            return run;
          })
        : await this.runs.prepare(projectId, request, model);
      if (!initial.store) await noteSubject(initial.id);
      // From here on the row keeps the lock, until the response has ended.
      if (initial.background) lock?.leave();
      return { initial, prepared, lock };
    } catch (error) {
      await lock?.release();
      throw error;
    }
  }

  private async find(projectId: string, id: string): Promise<ResponseRow> {
    const row = await this.responses.find(projectId, id);
    if (!row) throw notFound.response(id);
    return row;
  }

  private refuseUnsupported(request: CreateResponseRequest): void {
    if (request.conversation !== undefined && request.previous_response_id !== undefined) {
      throw new ApiError(
        'mutually_exclusive_parameters',
        "Mutually exclusive parameters: send either 'previous_response_id' or 'conversation', not both.",
      );
    }
    if (request.callback_url !== undefined && request.store === false) {
      throw new ApiError(
        'unsupported_parameter',
        "A response that is not stored cannot be asked for when it has ended: leave out 'store', or 'callback_url'.",
        { param: 'callback_url' },
      );
    }
    if (request.background && request.store === false) {
      throw new ApiError(
        'unsupported_parameter',
        "A background response must be stored: leave out 'store', or 'background'.",
        { param: 'background' },
      );
    }
  }

  private async *show(
    projectId: string,
    events: AsyncIterable<StreamEvent>,
    include: readonly Include[],
  ): AsyncGenerator<StreamEvent> {
    for await (const event of events) yield await this.presenter.event(projectId, event, include);
  }
}

function toRow(
  { projectId, keyId }: Caller,
  request: CreateResponseRequest,
  initial: ResponseObject,
  prepared: PreparedRun,
  createdAt: Date,
): NewResponseRow {
  return {
    id: initial.id,
    projectId,
    keyId,
    model: request.model,
    background: initial.background,
    streamed: request.stream ?? false,
    previousResponseId: initial.previous_response_id,
    conversationId: initial.conversation?.id ?? null,
    callbackUrl: request.callback_url ?? null,
    createdAt,
    request: JSON.parse(JSON.stringify({ ...request, input: undefined, callback_url: undefined })),
    body: initial,
    input: prepared.input,
  };
}
