import { Injectable } from '@nestjs/common';
import {
  Prisma,
  type WebhookAttempt,
  type WebhookDelivery,
  type WebhookEndpoint,
} from '../../database/generated/client.js';
import { PrismaService } from '../../database/prisma.service.js';
import { NOW } from '../../database/sql.js';
import type { Verdict } from './delivery.state.js';
import type { Outcome } from './delivery.types.js';

export type DeliveryRow = WebhookDelivery;
export type AttemptRow = WebhookAttempt;

/** A delivery that is ours to try, once. */
export interface ClaimedDelivery {
  readonly row: DeliveryRow;
  /** Null for a callback URL. */
  readonly endpoint: WebhookEndpoint | null;
}

export interface DeliveryListQuery {
  readonly projectId?: string | undefined;
  readonly endpointId?: string | undefined;
  readonly subjectId?: string | undefined;
  readonly eventType?: string | undefined;
  readonly status?: 'pending' | 'delivered' | 'failed' | undefined;
  readonly afterSeq?: bigint | undefined;
  readonly limit: number;
  readonly order: 'asc' | 'desc';
}

/** Milliseconds by which the clock of a delayed job may be ahead. */
const TOLERANCE_MS = 500;

/** That moment by the clock of the database, as our columns hold it. */
const inMs = (ms: number): Prisma.Sql =>
  Prisma.sql`(${NOW} + make_interval(secs => ${ms / 1000}::double precision))`;

const GONE_REASON = 'The endpoint answered 410 Gone.';

/** Gives up what waits for an endpoint that takes nothing. */
async function disableEndpoint(tx: Prisma.TransactionClient, id: string): Promise<void> {
  const now = new Date();
  await tx.webhookEndpoint.updateMany({
    where: { id, disabledAt: null },
    data: { disabledAt: now, disabledReason: GONE_REASON, updatedAt: now },
  });
  await tx.webhookDelivery.updateMany({
    where: { endpointId: id, status: 'pending' },
    data: { status: 'failed', lastError: GONE_REASON },
  });
}

@Injectable()
export class DeliveryRepository {
  constructor(private readonly prisma: PrismaService) {}

  /** Takes a delivery that is due, for `leaseMs`; null when it is not, or somebody else has it. */
  async claim(id: string, leaseMs: number): Promise<ClaimedDelivery | null> {
    const [row] = await this.prisma.$queryRaw<DeliveryRow[]>`
      UPDATE "WebhookDelivery" SET "attempts" = "attempts" + 1, "nextAttemptAt" = ${inMs(leaseMs)}
       WHERE "id" = ${id} AND "status" = 'pending' AND "nextAttemptAt" <= ${inMs(TOLERANCE_MS)}
       RETURNING *`;
    if (!row) return null;
    const { endpointId } = row;
    if (endpointId === null) return { row, endpoint: null };
    const endpoint = await this.prisma.webhookEndpoint.findUnique({ where: { id: endpointId } });
    // Gone together with its endpoint.
    return endpoint && { row, endpoint };
  }

  /** Writes down what came of a try, for its endpoint too; false when a later one was begun meanwhile. */
  async finish(row: DeliveryRow, url: string, outcome: Outcome, verdict: Verdict): Promise<boolean> {
    const { kind: _, ...attempt } = outcome;
    const goneId = verdict.status === 'failed' && verdict.gone ? row.endpointId : null;
    return this.prisma.$transaction(async (tx) => {
      // Before its deliveries, always: two that hear of it at once would wait for each other.
      if (goneId !== null)
        await tx.$queryRaw`SELECT 1 AS one FROM "WebhookEndpoint" WHERE "id" = ${goneId} FOR UPDATE`;
      // One statement: when a row is changed again in its transaction, PostgreSQL asks for its endpoint, which
      // whoever is deleting that holds while he waits for the row.
      const count = await tx.$executeRaw`
        UPDATE "WebhookDelivery"
           SET "url" = ${url}, "status" = ${verdict.status}::"DeliveryStatus",
               "lastStatus" = ${outcome.status}, "lastError" = ${outcome.error},
               "deliveredAt" = CASE WHEN ${verdict.status === 'delivered'} THEN ${NOW} ELSE "deliveredAt" END,
               "nextAttemptAt" = ${verdict.status === 'pending' ? inMs(verdict.delayMs) : Prisma.sql`"nextAttemptAt"`}
         WHERE "id" = ${row.id} AND "status" = 'pending' AND "attempts" = ${row.attempts}`;
      if (count === 0) return false;
      await tx.webhookAttempt.create({ data: { ...attempt, deliveryId: row.id, number: row.attempts } });
      if (goneId !== null) await disableEndpoint(tx, goneId);
      return true;
    });
  }

  async fail(id: string, error: string): Promise<void> {
    await this.prisma.webhookDelivery.updateMany({
      where: { id, status: 'pending' },
      data: { status: 'failed', lastError: error },
    });
  }

  /**
   * Deliveries that should have been tried `lateMs` ago; a few of each receiver, so that one with a long
   * queue does not stand in the way of others.
   */
  async overdue(lateMs: number, each: number, take: number): Promise<{ id: string; attempts: number }[]> {
    return this.prisma.$queryRaw`
      SELECT "id", "attempts" FROM (
        SELECT "id", "attempts", "nextAttemptAt",
               row_number() OVER (PARTITION BY coalesce("endpointId", split_part("url", '/', 3)) ORDER BY "nextAttemptAt") AS place
          FROM "WebhookDelivery"
         WHERE "status" = 'pending'
           AND "nextAttemptAt" < ${NOW} - make_interval(secs => ${lateMs / 1000}::double precision)
      ) AS waiting
      WHERE place <= ${each} ORDER BY place, "nextAttemptAt" LIMIT ${take}`;
  }

  find(id: string): Promise<DeliveryRow | null> {
    return this.prisma.webhookDelivery.findUnique({ where: { id } });
  }

  attempts(id: string): Promise<AttemptRow[]> {
    return this.prisma.webhookAttempt.findMany({ where: { deliveryId: id }, orderBy: { number: 'asc' } });
  }

  list(query: DeliveryListQuery): Promise<DeliveryRow[]> {
    const { projectId, endpointId, subjectId, eventType, status, afterSeq } = query;
    const seq = query.order === 'asc' ? { gt: afterSeq } : { lt: afterSeq };
    const wanted = { projectId, endpointId, subjectId, eventType, status };
    const given = Object.entries(wanted).filter(([, value]) => value !== undefined);
    return this.prisma.webhookDelivery.findMany({
      where: {
        ...(Object.fromEntries(given) as Prisma.WebhookDeliveryWhereInput),
        ...(afterSeq === undefined ? {} : { seq }),
      },
      orderBy: { seq: query.order },
      take: query.limit,
    });
  }

  /** Begins the schedule anew; false while a try is under way. */
  async restart(id: string): Promise<boolean> {
    const count = await this.prisma.$executeRaw`
      UPDATE "WebhookDelivery" d
         SET "status" = 'pending', "attemptsBefore" = "attempts", "deliveredAt" = NULL,
             "nextAttemptAt" = ${NOW}
       WHERE "id" = ${id}
         AND ("status" <> 'pending' OR
              "attempts" = (SELECT coalesce(max(a."number"), 0) FROM "WebhookAttempt" a WHERE a."deliveryId" = d."id"))`;
    return count === 1;
  }
}
