/** Requests and objects of the Conversations API (docs/contract/responses.md). */
import { z } from 'zod';
import { pageQuery } from '../common/pagination.js';
import { maybe, metadata } from '../common/wire-schema.js';
import { includeQuery } from '../responses/include.schema.js';
import { inputItemsSchema } from '../responses/input.schema.js';

const MAX_ITEMS = 20;

const items = inputItemsSchema(MAX_ITEMS);

export const createConversationSchema = z
  .strictObject({ items: maybe(items), metadata: maybe(metadata()) })
  .meta({ id: 'CreateConversationRequest' });
export const updateConversationSchema = z
  .strictObject({ metadata: metadata() })
  .meta({ id: 'UpdateConversationRequest' });
export const addItemsSchema = z.strictObject({ items }).meta({ id: 'CreateConversationItemsRequest' });

export const itemsQuery = pageQuery().extend({ include: includeQuery });
export const includeOnlyQuery = z.object({ include: includeQuery });

export const conversationSchema = z
  .object({
    id: z.string(),
    object: z.literal('conversation'),
    created_at: z.int(),
    metadata: z.record(z.string(), z.string()),
  })
  .meta({ id: 'Conversation' });

export type ConversationObject = z.output<typeof conversationSchema>;

export const deletedConversationSchema = z
  .object({ id: z.string(), object: z.literal('conversation.deleted'), deleted: z.literal(true) })
  .meta({ id: 'DeletedConversation' });
