/** What is forgotten, in bounded steps: every method takes at most `take` rows and says how many it took. */
import { Injectable } from '@nestjs/common';
import { Prisma } from '../database/generated/client.js';
import { PrismaService } from '../database/prisma.service.js';
import { at } from '../database/sql.js';

/** Events that go in one step, for each response that it takes. */
const EVENTS_EACH = 25;

/** Containers that were deleted and may still hold something: an array, so that each is looked up by an index. */
const TO_EMPTY = Prisma.raw(
  `ARRAY(SELECT "id" FROM "Container" WHERE "status" = 'deleted' AND NOT "emptied" ORDER BY "id" LIMIT 5000)`,
);

/**
 * Every step is one statement of its own, finds its rows through an index that holds little else, and leaves
 * rows alone that somebody has locked: they are found the next time.
 */
@Injectable()
export class RetentionRepository {
  constructor(private readonly prisma: PrismaService) {}

  /** Responses made before `before` that have ended, with their items and events. */
  removeResponses(before: Date, take: number): Promise<number> {
    return this.prisma.$executeRaw`
      DELETE FROM "Response" WHERE "id" = ANY(ARRAY(
        SELECT "id" FROM "Response"
         WHERE "createdAt" < ${at(before)} AND "status" NOT IN ('queued', 'in_progress')
         ORDER BY "createdAt" LIMIT ${take} FOR UPDATE SKIP LOCKED))`;
  }

  /**
   * Takes the content out of responses their project deleted. The row stays, with its token counts
   * alone, until its time is over.
   */
  async emptyDeletedResponses(take: number): Promise<number> {
    return this.prisma.$transaction(async (tx) => {
      const rows = await tx.$queryRaw<{ id: string }[]>`
        SELECT "id" FROM "Response" WHERE "deletedAt" IS NOT NULL AND NOT "emptied"
         LIMIT ${take} FOR UPDATE SKIP LOCKED`;
      const ids = rows.map((row) => row.id);
      await tx.responseItem.deleteMany({ where: { responseId: { in: ids } } });
      await tx.responseEvent.deleteMany({ where: { responseId: { in: ids } } });
      return tx.$executeRaw`
        UPDATE "Response"
           SET "request" = '{}', "body" = json_build_object('usage', "body"->'usage'), "emptied" = TRUE
         WHERE "id" = ANY(${ids}::text[])`;
    });
  }

  /**
   * At most `take` events of background responses that ended before `before`: nobody resumes their stream any
   * more. Each response is looked at until none of its events is left.
   */
  async removeEvents(before: Date, take: number): Promise<{ seen: number; removed: number }> {
    return this.prisma.$transaction(async (tx) => {
      const rows = await tx.$queryRaw<{ id: string }[]>`
        SELECT "id" FROM "Response"
         WHERE "background" AND NOT "eventsRemoved" AND "status" NOT IN ('queued', 'in_progress')
           AND coalesce("completedAt", "leaseUntil", "createdAt") < ${at(before)}
         ORDER BY "createdAt" LIMIT ${take} FOR UPDATE SKIP LOCKED`;
      const ids = rows.map((row) => row.id);
      const limit = take * EVENTS_EACH;
      const removed = await tx.$executeRaw`
        DELETE FROM "ResponseEvent" WHERE ctid = ANY(ARRAY(
          SELECT e.ctid FROM unnest(${ids}::text[]) AS r(id) CROSS JOIN LATERAL (
            SELECT ctid FROM "ResponseEvent" WHERE "responseId" = r.id ORDER BY "sequenceNumber" LIMIT ${limit}) e
           LIMIT ${limit}))`;
      if (removed < limit)
        await tx.response.updateMany({ where: { id: { in: ids } }, data: { eventsRemoved: true } });
      return { seen: ids.length, removed };
    });
  }

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

  /** Files of containers that were deleted. */
  removeUnreachableFiles(take: number): Promise<number> {
    return this.prisma.$executeRaw`
      DELETE FROM "ContainerFile" WHERE "id" = ANY(ARRAY(
        SELECT "id" FROM "ContainerFile" WHERE "containerId" = ANY(${TO_EMPTY}) LIMIT ${take}))`;
  }

  /** Files that code removed before its container ended. */
  removeRemovedFiles(take: number): Promise<number> {
    return this.prisma.$executeRaw`
      DELETE FROM "ContainerFile" WHERE "id" = ANY(ARRAY(
        SELECT f."id" FROM "ContainerFile" f JOIN "Container" c ON c."id" = f."containerId"
         WHERE f."deletedAt" IS NOT NULL AND c."status" = 'expired' LIMIT ${take}))`;
  }

  /** Takes code and outputs out of the executions of deleted containers; what they cost is kept. */
  emptyDeletedExecutions(take: number): Promise<number> {
    return this.prisma.$executeRaw`
      UPDATE "Execution" SET "code" = '', "outputs" = '[]', "files" = '[]' WHERE "id" = ANY(ARRAY(
        SELECT "id" FROM "Execution"
         WHERE "containerId" = ANY(${TO_EMPTY}) AND "code" <> '' AND "status" NOT IN ('queued', 'running')
         LIMIT ${take}))`;
  }

  /** Containers deleted before `before` that hold nothing any more: they are not looked at again. */
  markEmptied(before: Date, take: number): Promise<number> {
    return this.prisma.$executeRaw`
      UPDATE "Container" SET "emptied" = TRUE WHERE "id" = ANY(ARRAY(
        SELECT c."id" FROM "Container" c
         WHERE c."status" = 'deleted' AND NOT c."emptied" AND c."endedAt" < ${at(before)}
           AND (SELECT f."id" FROM "ContainerFile" f WHERE f."containerId" = c."id" LIMIT 1) IS NULL
           AND (SELECT e."id" FROM "Execution" e WHERE e."containerId" = c."id"
                   AND (e."code" <> '' OR e."status" IN ('queued', 'running')) LIMIT 1) IS NULL
         LIMIT ${take} FOR UPDATE SKIP LOCKED))`;
  }

  removeExecutions(before: Date, take: number): Promise<number> {
    return this.prisma.$executeRaw`
      DELETE FROM "Execution" WHERE "id" = ANY(ARRAY(
        SELECT "id" FROM "Execution"
         WHERE "createdAt" < ${at(before)} AND "status" NOT IN ('queued', 'running')
         ORDER BY "createdAt" LIMIT ${take} FOR UPDATE SKIP LOCKED))`;
  }

  /** Tombstones, with the files and executions they still have. */
  removeContainers(before: Date, take: number): Promise<number> {
    return this.prisma.$executeRaw`
      DELETE FROM "Container" WHERE "id" = ANY(ARRAY(
        SELECT "id" FROM "Container" WHERE "endedAt" < ${at(before)} AND "status" <> 'running'
         ORDER BY "endedAt" LIMIT ${take} FOR UPDATE SKIP LOCKED))`;
  }

  /** Deliveries of webhooks that were made or given up. */
  removeDeliveries(before: Date, take: number): Promise<number> {
    return this.prisma.$executeRaw`
      DELETE FROM "WebhookDelivery" WHERE "id" = ANY(ARRAY(
        SELECT "id" FROM "WebhookDelivery"
         WHERE "status" IN ('delivered', 'failed') AND "createdAt" < ${at(before)}
         LIMIT ${take} FOR UPDATE SKIP LOCKED))`;
  }

  /** Uploads that came to an end; the file that came out of one lives on. */
  removeUploads(before: Date, take: number): Promise<number> {
    return this.prisma.$executeRaw`
      DELETE FROM "Upload" WHERE "id" = ANY(ARRAY(
        SELECT "id" FROM "Upload" WHERE "createdAt" < ${at(before)} AND "status" <> 'pending'
         ORDER BY "createdAt" LIMIT ${take} FOR UPDATE SKIP LOCKED))`;
  }
}
