import { Injectable } from '@nestjs/common';
import { ApiError } from '../common/api-error.js';
import { newId } from '../common/ids.js';
import type { Page, PageQuery } from '../common/pagination.js';
import { toUnix } from '../common/time.js';
import type { Include } from '../responses/include.schema.js';
import { ItemsService } from '../responses/items.service.js';
import type { InputItem } from '../responses/input.schema.js';
import { noteSubject } from '../idempotency/subjects.js';
import { BlobsService } from '../storage/blobs.service.js';
import {
  ConversationRepository,
  type ConversationItemRow,
  type ConversationRow,
} from './conversation.repository.js';
import type { ConversationObject } from './conversation.schema.js';

const unknown = (id: string) => new ApiError('not_found', `Conversation with id '${id}' not found.`);

export function presentConversation(row: ConversationRow): ConversationObject {
  return {
    id: row.id,
    object: 'conversation',
    created_at: toUnix(row.createdAt),
    metadata: row.metadata as Record<string, string>,
  };
}

@Injectable()
export class ConversationsService {
  constructor(
    private readonly conversations: ConversationRepository,
    private readonly items: ItemsService,
    private readonly blobs: BlobsService,
  ) {}

  /** How many a project has. */
  count(projectId: string): Promise<number> {
    return this.conversations.count(projectId);
  }

  async create(
    projectId: string,
    items: readonly InputItem[],
    metadata: Record<string, string>,
  ): Promise<ConversationObject> {
    const row = { id: newId.conversation(), projectId, metadata };
    await noteSubject(row.id);
    return this.items.accept(projectId, items, async (stored) =>
      presentConversation(
        await this.conversations.insert(
          row,
          stored.map((item) => ({ id: item.id, item })),
        ),
      ),
    );
  }

  async get(projectId: string, id: string): Promise<ConversationRow> {
    const row = await this.conversations.find(projectId, id);
    if (!row) throw unknown(id);
    return row;
  }

  async update(projectId: string, id: string, metadata: Record<string, string>): Promise<ConversationObject> {
    const row = await this.get(projectId, id);
    return presentConversation(await this.conversations.setMetadata(row.id, metadata));
  }

  async delete(projectId: string, id: string): Promise<void> {
    await this.get(projectId, id);
    if (!(await this.conversations.markDeleted(id))) throw unknown(id);
    await this.blobs.freeUnused();
  }

  /** Adds items and shows them as a list (docs/contract/responses.md). */
  async addItems(
    projectId: string,
    id: string,
    items: readonly InputItem[],
    include: readonly Include[],
  ): Promise<Page<unknown>> {
    const row = await this.get(projectId, id);
    const stored = await this.items.accept(projectId, items, async (accepted) => {
      await this.conversations.append(
        row.id,
        accepted.map((item) => ({ id: item.id, item })),
      );
      return accepted;
    });
    const data = await this.items.showAll(projectId, stored, include);
    return {
      object: 'list',
      data,
      first_id: stored[0]?.id ?? null,
      last_id: stored.at(-1)?.id ?? null,
      has_more: false,
    };
  }

  async listItems(
    projectId: string,
    id: string,
    query: PageQuery & { include: readonly Include[] },
  ): Promise<Page<unknown>> {
    const row = await this.get(projectId, id);
    const after = query.after === undefined ? undefined : await this.item(row.id, query.after, true);
    const { rows, hasMore } = await this.conversations.page({
      conversationId: row.id,
      afterKey: after?.key,
      limit: query.limit,
      order: query.order,
    });
    const items = rows.map((each) => each.item);
    return {
      object: 'list',
      data: await this.items.showAll(projectId, items, query.include),
      first_id: rows[0]?.id ?? null,
      last_id: rows.at(-1)?.id ?? null,
      has_more: hasMore,
    };
  }

  async getItem(
    projectId: string,
    id: string,
    itemId: string,
    include: readonly Include[],
  ): Promise<unknown> {
    const row = await this.get(projectId, id);
    return this.items.show(projectId, (await this.item(row.id, itemId)).item, include);
  }

  async deleteItem(projectId: string, id: string, itemId: string): Promise<ConversationObject> {
    const row = await this.get(projectId, id);
    await this.item(row.id, itemId);
    await this.conversations.deleteItem(row.id, itemId);
    await this.blobs.freeUnused();
    return presentConversation(row);
  }

  private async item(conversationId: string, itemId: string, asCursor = false): Promise<ConversationItemRow> {
    const row = await this.conversations.findItem(conversationId, itemId);
    if (row) return row;
    if (asCursor) throw new ApiError('not_found', 'Resource not found.', { param: 'after' });
    throw new ApiError(
      'not_found',
      `Item with id '${itemId}' not found in conversation '${conversationId}'.`,
    );
  }
}
