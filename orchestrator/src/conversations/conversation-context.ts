import { Injectable } from '@nestjs/common';
import { ApiError } from '../common/api-error.js';
import { ConversationLookup } from '../responses/conversation.lookup.js';
import type { InputItem } from '../responses/input.schema.js';
import { ConversationRepository } from './conversation.repository.js';

/** What the responses feature needs of conversations. */
@Injectable()
export class StoredConversations extends ConversationLookup {
  constructor(private readonly conversations: ConversationRepository) {
    super();
  }

  override async items(projectId: string, id: string): Promise<InputItem[]> {
    const row = await this.conversations.find(projectId, id);
    if (!row) throw new ApiError('not_found', `Conversation with id '${id}' not found.`);
    return (await this.conversations.items(id)).map((each) => each.item as unknown as InputItem);
  }

  override async lock(id: string, responseId: string): Promise<void> {
    if (await this.conversations.lock(id, responseId)) return;
    throw new ApiError(
      'conversation_locked',
      'Another process is currently operating on this conversation. Please retry in a few seconds.',
      { param: 'conversation' },
    );
  }

  override async unlock(id: string, responseId: string): Promise<void> {
    await this.conversations.unlock(id, responseId);
  }

  override async append(id: string, responseId: string, items: readonly { id: string }[]): Promise<void> {
    await this.conversations.append(
      id,
      items.map((item) => ({ id: item.id, item })),
    );
    await this.conversations.unlock(id, responseId);
  }
}
