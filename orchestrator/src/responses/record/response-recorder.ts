/** Consumes the events of a run: writes the end down and hands every event on. */
import { Injectable, Logger } from '@nestjs/common';
import { ConversationLookup } from '../conversation.lookup.js';
import { retry } from '../../common/retry.js';
import { isDatabaseOutage } from '../../common/database-errors.js';
import { leavesNothing, ResponseEndRepository } from './response-end.repository.js';
import type { DraftEvent, ResponseObject, StreamEvent } from '../response.types.js';
import { Sequencer } from './sequencer.js';
import type { RunDraft } from './turn-end.js';
import type { StoredItem } from '../input.schema.js';

/** Milliseconds for which the end of a response waits for the database. */
const OUTAGE_MS = 60_000;

@Injectable()
export class ResponseRecorder {
  private readonly logger = new Logger(ResponseRecorder.name);

  constructor(
    private readonly ends: ResponseEndRepository,
    private readonly conversations: ConversationLookup,
  ) {}

  /**
   * Numbers the drafts and yields them. A stored response is on disk before its terminal event is
   * told, so a client that saw the end can retrieve it. The end is on disk also when the reader
   * stops before it; whoever makes readers stop aborts the run.
   */
  async *follow(
    initial: ResponseObject,
    input: readonly StoredItem[],
    drafts: AsyncIterable<RunDraft>,
  ): AsyncGenerator<StreamEvent, ResponseObject> {
    const sequencer = new Sequencer(initial);
    const iterator = drafts[Symbol.asyncIterator]();
    let ended = false;
    const next = async (): Promise<StreamEvent | null> => {
      const draft = await nextShown(iterator);
      if (!draft) return null;
      const event = sequencer.next(draft);
      if (isEnd(draft)) {
        ended = true;
        await this.keepAnyhow(sequencer.response, input);
      }
      return event;
    };
    try {
      for (let event = await next(); event; event = await next()) yield event;
    } finally {
      while (!ended && (await next()) !== null) {
        // The reader went away, and the run was aborted: what is left is its end, for the record.
      }
    }
    return sequencer.response;
  }

  private async keepAnyhow(response: ResponseObject, input: readonly StoredItem[]): Promise<void> {
    await retry(() => this.keep(response, input), {
      forMs: OUTAGE_MS,
      isFinal: (error) => !isDatabaseOutage(error),
      onFailure: (err) =>
        this.logger.warn({ err, responseId: response.id }, 'the end of a response waits for the database'),
    });
  }

  /** Doing it again changes nothing. */
  private async keep(response: ResponseObject, input: readonly StoredItem[]): Promise<void> {
    if (!response.store) {
      const { conversation, id, output } = response;
      if (!conversation) return;
      const turn = leavesNothing(response) ? [] : [...input, ...output];
      await this.conversations.end(conversation.id, id, turn);
      return;
    }
    if (!(await this.ends.end(response)))
      this.logger.warn({ responseId: response.id }, 'a response had ended before; its second end is dropped');
  }
}

/** The next draft that is an event. */
async function nextShown(drafts: AsyncIterator<RunDraft>): Promise<DraftEvent | null> {
  for (;;) {
    const { value, done } = await drafts.next();
    if (done) return null;
    if (value.type !== 'turn.ended') return value;
  }
}

const isEnd = (draft: DraftEvent): boolean =>
  draft.type === 'response.completed' ||
  draft.type === 'response.failed' ||
  draft.type === 'response.incomplete';
