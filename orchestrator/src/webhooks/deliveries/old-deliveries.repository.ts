/**
 * What is forgotten of webhooks; asked by retention.
 * Every step is one statement of its own, takes at most `take` rows and says how many it took; it finds them through
 * an index that holds little else, and leaves rows alone that somebody has locked: they are found the next time.
 */
import { Injectable } from '@nestjs/common';
import { PrismaService } from '../../database/prisma.service.js';
import { at } from '../../database/sql.js';

@Injectable()
export class OldDeliveries {
  constructor(private readonly prisma: PrismaService) {}

  /** Deliveries of webhooks that were made or given up. */
  removeDeliveries(before: Date, take: number): Promise<number> {
    return this.prisma.$executeRaw`
      DELETE FROM "WebhookDelivery" WHERE "id" = ANY(ARRAY(
        SELECT "id" FROM "WebhookDelivery"
         WHERE "status" IN ('delivered', 'failed') AND "createdAt" < ${at(before)}
         LIMIT ${take} FOR UPDATE SKIP LOCKED))`;
  }
}
