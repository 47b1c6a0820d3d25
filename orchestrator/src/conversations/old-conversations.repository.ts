/**
 * What is forgotten of conversations; asked by retention.
 * Every step is one statement of its own, takes at most `take` rows and says how many it took; it finds them through
 * an index that holds little else, and leaves rows alone that somebody has locked: they are found the next time.
 */
import { Injectable } from '@nestjs/common';
import { PrismaService } from '../database/prisma.service.js';
import { at } from '../database/sql.js';

@Injectable()
export class OldConversations {
  constructor(private readonly prisma: PrismaService) {}

  /** Conversations that were deleted before `before`, with their items. */
  removeDeletedConversations(before: Date, take: number): Promise<number> {
    return this.prisma.$executeRaw`
      DELETE FROM "Conversation" WHERE "id" = ANY(ARRAY(
        SELECT "id" FROM "Conversation" WHERE "deletedAt" < ${at(before)} LIMIT ${take} FOR UPDATE SKIP LOCKED))`;
  }

  /**
   * Looks at `take` conversations that may not have been used since `before`: removes those that were not,
   * and notes of the others when they were, so that each is looked at once in its time.
   */
  async removeOldConversations(before: Date, take: number): Promise<{ seen: number; removed: number }> {
    return this.prisma.$transaction(async (tx) => {
      const rows = await tx.$queryRaw<{ id: string; used: Date }[]>`
        SELECT "id", greatest("activeAt", "lockedUntil", (
                 SELECT max(i."createdAt") FROM "ConversationItem" i WHERE i."conversationId" = c."id")) AS used
          FROM "Conversation" c WHERE "activeAt" < ${at(before)}
         ORDER BY "activeAt" LIMIT ${take} FOR UPDATE SKIP LOCKED`;
      const old = rows.filter((row) => row.used < before).map((row) => row.id);
      const { count } = await tx.conversation.deleteMany({ where: { id: { in: old } } });
      for (const { id, used } of rows) {
        if (used >= before) await tx.conversation.updateMany({ where: { id }, data: { activeAt: used } });
      }
      return { seen: rows.length, removed: count };
    });
  }
}
