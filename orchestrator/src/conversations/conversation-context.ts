import { Inject, Injectable, Logger } from '@nestjs/common';
import { ApiError } from '../common/api-error.js';
import { LeaseKeeper, renewalMs } from '../common/lease-keeper.js';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { type ConversationLock, ConversationLookup } from '../responses/conversation.lookup.js';
import type { InputItem } from '../responses/input.schema.js';
import { ConversationRepository } from './conversation.repository.js';

/** What the responses feature needs of conversations. */
@Injectable()
export class StoredConversations extends ConversationLookup {
  private readonly logger = new Logger(StoredConversations.name);
  /** By response; the value is the conversation. */
  private readonly keeper: LeaseKeeper<string>;

  constructor(
    private readonly conversations: ConversationRepository,
    @Inject(ENV) env: Env,
  ) {
    super();
    this.keeper = new LeaseKeeper({
      everyMs: renewalMs(env.RESPONSE_LEASE_SECONDS),
      renew: (locks) => this.conversations.keepLocks(locks),
      logger: this.logger,
      what: 'the lock of a conversation',
    });
  }

  override async size(projectId: string, id: string): Promise<{ items: number; bytes: number }> {
    await this.find(projectId, id);
    return this.conversations.size(id);
  }

  override async items(projectId: string, id: string): Promise<InputItem[]> {
    await this.find(projectId, id);
    return (await this.conversations.items(id)).map((each) => each.item as unknown as InputItem);
  }

  override async lock(projectId: string, id: string, responseId: string): Promise<ConversationLock> {
    if (!(await this.conversations.lock(projectId, id, responseId))) {
      await this.find(projectId, id);
      throw new ApiError(
        'conversation_locked',
        'Another process is currently operating on this conversation. Please retry in a few seconds.',
        { param: 'conversation' },
      );
    }
    const lost = new AbortController();
    const leave = this.keeper.keep(responseId, id, () => lost.abort());
    const release = async (): Promise<void> => {
      leave();
      try {
        await this.conversations.unlock(id, responseId);
      } catch (error) {
        this.logger.warn(
          { err: error, conversationId: id },
          'a conversation stays locked until its lease is over',
        );
      }
    };
    return { lost: lost.signal, leave, release };
  }

  override async end(id: string, responseId: string, items: readonly { id: string }[]): Promise<void> {
    await this.conversations.endTurn(
      id,
      responseId,
      items.map((item) => ({ id: item.id, item })),
    );
  }

  private async find(projectId: string, id: string): Promise<void> {
    if (!(await this.conversations.find(projectId, id))) throw unknown(id);
  }
}

const unknown = (id: string) => new ApiError('not_found', `Conversation with id '${id}' not found.`);
