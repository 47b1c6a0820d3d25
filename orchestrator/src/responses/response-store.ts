/** Consumes the events of a run: writes the end down and hands every event on. */
import { Injectable, Logger } from '@nestjs/common';
import type { StoredItem } from './context/context.service.js';
import { ConversationLookup } from './conversation.lookup.js';
import { leavesNothing } from './response-end.repository.js';
import { ResponseRepository } from './response.repository.js';
import type { DraftEvent, ResponseObject, StreamEvent } from './response.types.js';
import { Sequencer } from './run/sequencer.js';

@Injectable()
export class ResponseStore {
  private readonly logger = new Logger(ResponseStore.name);

  constructor(
    private readonly responses: ResponseRepository,
    private readonly conversations: ConversationLookup,
  ) {}

  /**
   * Numbers the drafts and yields them. A stored response is on disk before its terminal event is
   * told, so a client that saw the end can retrieve it. The end is on disk also when the reader
   * stops before it; whoever makes readers stop aborts the run.
   */
  async *follow(
    projectId: string,
    initial: ResponseObject,
    input: readonly StoredItem[],
    drafts: AsyncIterable<DraftEvent>,
  ): AsyncGenerator<StreamEvent, ResponseObject> {
    const sequencer = new Sequencer(initial);
    const iterator = drafts[Symbol.asyncIterator]();
    let ended = false;
    const next = async (): Promise<StreamEvent | null> => {
      const { value: draft, done } = await iterator.next();
      if (done) return null;
      const event = sequencer.next(draft);
      if (isEnd(draft)) {
        ended = true;
        await this.keep(projectId, sequencer.response, input);
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

  private async keep(
    projectId: string,
    response: ResponseObject,
    input: readonly StoredItem[],
  ): Promise<void> {
    if (!response.store) {
      const { conversation, id, output } = response;
      if (!conversation) return;
      if (leavesNothing(response)) await this.conversations.unlock(conversation.id, id);
      else await this.conversations.append(conversation.id, id, [...input, ...output]);
      return;
    }
    const written = await this.responses.finish(projectId, response);
    if (!written)
      this.logger.warn({ responseId: response.id }, 'a response had ended before; its second end is dropped');
  }
}

const isEnd = (draft: DraftEvent): boolean =>
  draft.type === 'response.completed' ||
  draft.type === 'response.failed' ||
  draft.type === 'response.incomplete';
