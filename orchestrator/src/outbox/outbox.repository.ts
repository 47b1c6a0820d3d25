/**
 * Events that the outside is told of. Whoever writes an end (of a response, a container) announces it in
 * the same transaction, so there is no end without its deliveries, and no delivery without the end. The
 * webhooks feature sends them; what it is not woken for it finds by itself.
 */
import { Injectable } from '@nestjs/common';
import { TypedEvent } from '../common/typed-event.js';
import { Prisma } from '../database/generated/client.js';
import { NOW } from '../database/sql.js';
import { newEvent } from './event.js';
import type { EventType } from './event.types.js';

export interface Announcement {
  readonly projectId: string;
  readonly type: EventType;
  /** The response or container it tells of. */
  readonly subjectId: string;
  /** Somebody to be told beside the project's endpoints. */
  readonly callbackUrl?: string | null;
}

const NEW_ID = Prisma.raw(`'wh_' || replace(gen_random_uuid()::text, '-', '')`);

/** A row for each receiver: the project's endpoints that want this type, and the callback URL. */
const insert = (told: string): Prisma.Sql => Prisma.sql`
  WITH told AS (
    SELECT * FROM json_to_recordset(${told}::json) AS t(
      "projectId" text, "type" text, "subjectId" text, "callbackUrl" text, "eventId" text, "payload" json)
  ), receivers AS (
    SELECT t.*, e."id" AS "endpointId", e."url" FROM told t JOIN "WebhookEndpoint" e
        ON e."projectId" = t."projectId" AND e."disabledAt" IS NULL AND t."type" = ANY(e."events")
    UNION ALL
    SELECT t.*, NULL, t."callbackUrl" FROM told t WHERE t."callbackUrl" IS NOT NULL
  )
  INSERT INTO "WebhookDelivery"
    ("id", "projectId", "endpointId", "url", "eventId", "eventType", "subjectId", "payload", "nextAttemptAt", "createdAt")
  SELECT ${NEW_ID}, "projectId", "endpointId", "url", "eventId", "type", "subjectId", "payload", ${NOW}, ${NOW}
    FROM receivers
  RETURNING "id"`;

@Injectable()
export class OutboxRepository {
  /** Deliveries are committed and may be sent now, rather than at the next look into the table. */
  readonly written = new TypedEvent<readonly string[]>();

  /** Writes the deliveries; hand what comes back to {@link wake} when the transaction is over. */
  async announce(
    tx: Prisma.TransactionClient,
    announcements: readonly Announcement[],
  ): Promise<readonly string[]> {
    if (announcements.length === 0) return [];
    const now = new Date();
    const told = announcements.map((announcement) => {
      const payload = newEvent(announcement.type, announcement.subjectId, now);
      return { ...announcement, eventId: payload.id, payload };
    });
    const rows = await tx.$queryRaw<{ id: string }[]>(insert(JSON.stringify(told)));
    return rows.map(({ id }) => id);
  }

  /** Called when the transaction is over. */
  wake(deliveryIds: readonly string[]): void {
    if (deliveryIds.length > 0) this.written.emit(deliveryIds);
  }
}
