import { Global, Module } from '@nestjs/common';
import { ConversationLookup } from '../responses/conversation.lookup.js';
import { ResponsesModule } from '../responses/responses.module.js';
import { StoredConversations } from './conversation-context.js';
import { ConversationRepository } from './conversation.repository.js';
import { OldConversations } from './old-conversations.repository.js';
import { ConversationsController } from './conversations.controller.js';
import { ConversationsService } from './conversations.service.js';

/** Global, so that the responses feature finds its port without knowing this one. */
@Global()
@Module({
  providers: [ConversationRepository, { provide: ConversationLookup, useClass: StoredConversations }],
  exports: [ConversationRepository, ConversationLookup],
})
export class ConversationLookupModule {}

@Module({
  imports: [ConversationLookupModule, ResponsesModule],
  controllers: [ConversationsController],
  providers: [ConversationsService, OldConversations],
  exports: [ConversationsService, OldConversations],
})
export class ConversationsModule {}
