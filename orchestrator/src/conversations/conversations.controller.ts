import { Body, Controller, Delete, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { type Caller, CurrentProject } from '../auth/caller.js';
import type { Page } from '../common/pagination.js';
import { LargeBody } from '../common/route-config.js';
import {
  addItemsSchema,
  type ConversationObject,
  conversationSchema,
  createConversationSchema,
  deletedConversationSchema,
  includeOnlyQuery,
  itemsQuery,
  updateConversationSchema,
} from './conversation.schema.js';
import { itemListSchema, itemSchema } from '../responses/response-object.schema.js';
import { OncePerKey } from '../idempotency/once-per-key.js';
import { Subjects } from '../idempotency/subjects.js';
import { ConversationsService, presentConversation } from './conversations.service.js';

/** The Conversations API (docs/contract/responses.md). */
@ApiTags('Conversations')
@ApiBearerAuth()
@Controller('conversations')
export class ConversationsController {
  constructor(
    private readonly conversations: ConversationsService,
    subjects: Subjects,
  ) {
    subjects.set('conv_', async ({ projectId, id }) =>
      presentConversation(await this.conversations.get(projectId, id)),
    );
  }

  @Post()
  @OncePerKey('conv_')
  @LargeBody()
  @HttpCode(200)
  @ApiOperation({ summary: 'Create a conversation' })
  @ApiResponse({ status: 200, standardSchema: conversationSchema })
  async create(
    @CurrentProject() caller: Caller,
    @Body({ schema: createConversationSchema }) body: z.output<typeof createConversationSchema>,
  ): Promise<ConversationObject> {
    return this.conversations.create(caller.projectId, body.items ?? [], body.metadata ?? {});
  }

  @Get(':conversation_id')
  @ApiOperation({ summary: 'Retrieve a conversation' })
  @ApiResponse({ status: 200, standardSchema: conversationSchema })
  async retrieve(
    @CurrentProject() caller: Caller,
    @Param('conversation_id') id: string,
  ): Promise<ConversationObject> {
    return presentConversation(await this.conversations.get(caller.projectId, id));
  }

  @Post(':conversation_id')
  @HttpCode(200)
  @ApiOperation({ summary: 'Replace the metadata of a conversation' })
  @ApiResponse({ status: 200, standardSchema: conversationSchema })
  async update(
    @CurrentProject() caller: Caller,
    @Param('conversation_id') id: string,
    @Body({ schema: updateConversationSchema }) body: z.output<typeof updateConversationSchema>,
  ): Promise<ConversationObject> {
    return this.conversations.update(caller.projectId, id, body.metadata);
  }

  @Delete(':conversation_id')
  @ApiOperation({ summary: 'Delete a conversation' })
  @ApiResponse({ status: 200, standardSchema: deletedConversationSchema })
  async delete(@CurrentProject() caller: Caller, @Param('conversation_id') id: string) {
    await this.conversations.delete(caller.projectId, id);
    return { id, object: 'conversation.deleted' as const, deleted: true as const };
  }

  @Post(':conversation_id/items')
  @OncePerKey(null)
  @LargeBody()
  @HttpCode(200)
  @ApiOperation({ summary: 'Add items to a conversation' })
  @ApiResponse({ status: 200, standardSchema: itemListSchema })
  async addItems(
    @CurrentProject() caller: Caller,
    @Param('conversation_id') id: string,
    @Body({ schema: addItemsSchema }) body: z.output<typeof addItemsSchema>,
    @Query({ schema: includeOnlyQuery }) query: z.output<typeof includeOnlyQuery>,
  ): Promise<Page<unknown>> {
    return this.conversations.addItems(caller.projectId, id, body.items, query.include ?? []);
  }

  @Get(':conversation_id/items')
  @ApiOperation({ summary: 'List the items of a conversation' })
  @ApiResponse({ status: 200, standardSchema: itemListSchema })
  async listItems(
    @CurrentProject() caller: Caller,
    @Param('conversation_id') id: string,
    @Query({ schema: itemsQuery }) query: z.output<typeof itemsQuery>,
  ): Promise<Page<unknown>> {
    return this.conversations.listItems(caller.projectId, id, { ...query, include: query.include ?? [] });
  }

  @Get(':conversation_id/items/:item_id')
  @ApiOperation({ summary: 'Retrieve an item of a conversation' })
  @ApiResponse({ status: 200, standardSchema: itemSchema })
  async getItem(
    @CurrentProject() caller: Caller,
    @Param('conversation_id') id: string,
    @Param('item_id') itemId: string,
    @Query({ schema: includeOnlyQuery }) query: z.output<typeof includeOnlyQuery>,
  ): Promise<unknown> {
    return this.conversations.getItem(caller.projectId, id, itemId, query.include ?? []);
  }

  @Delete(':conversation_id/items/:item_id')
  @ApiOperation({ summary: 'Delete an item of a conversation' })
  @ApiResponse({ status: 200, standardSchema: conversationSchema })
  async deleteItem(
    @CurrentProject() caller: Caller,
    @Param('conversation_id') id: string,
    @Param('item_id') itemId: string,
  ): Promise<ConversationObject> {
    return this.conversations.deleteItem(caller.projectId, id, itemId);
  }
}
