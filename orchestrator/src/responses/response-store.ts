/** Consumes the events of a run: writes the end down and hands every event on. */
import { Injectable, Logger } from '@nestjs/common';
import type { StoredItem } from './context/context.service.js';
import { ConversationLookup } from './conversation.lookup.js';
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
   * told, so a client that saw the end can retrieve it.
   */
  async *follow(
    projectId: string,
    initial: ResponseObject,
    input: readonly StoredItem[],
    drafts: AsyncIterable<DraftEvent>,
  ): AsyncGenerator<StreamEvent, ResponseObject> {
    const sequencer = new Sequencer(initial);
    for await (const draft of drafts) {
      const event = sequencer.next(draft);
      if (isEnd(draft)) await this.keep(projectId, sequencer.response, input);
      yield event;
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
      if (conversation) await this.conversations.append(conversation.id, id, [...input, ...output]);
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
