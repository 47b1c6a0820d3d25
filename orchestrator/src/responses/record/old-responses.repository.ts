/**
 * What is forgotten of responses; asked by retention.
 * Every step is one statement of its own, takes at most `take` rows and says how many it took; it finds them through
 * an index that holds little else, and leaves rows alone that somebody has locked: they are found the next time.
 */
import { Injectable } from '@nestjs/common';
import { PrismaService } from '../../database/prisma.service.js';
import { at } from '../../database/sql.js';

/** Events that go in one step, for each response that it takes. */
const EVENTS_EACH = 25;

@Injectable()
export class OldResponses {
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
}
