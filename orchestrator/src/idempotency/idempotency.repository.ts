import { Injectable } from '@nestjs/common';
import { type IdempotencyKey, Prisma } from '../database/generated/client.js';
import { PrismaService } from '../database/prisma.service.js';
import { at, NOW } from '../database/sql.js';

export type IdempotencyRow = IdempotencyKey;

/** `kept`: its reply is there. `too_large`: it is not. `streamed`: it was a stream. */
export type Outcome = 'kept' | 'too_large' | 'streamed';

export interface Finished {
  readonly outcome: Outcome;
  readonly status: number;
  readonly reply: string | null;
  readonly subject: string | null;
  readonly fingerprint: string | null;
}

/** Hours for which a key is remembered. */
export const KEPT_HOURS = 24;
export const LEASE_SECONDS = 30;

const lease = Prisma.raw(`${NOW.sql} + make_interval(secs => ${LEASE_SECONDS})`);
const kept = Prisma.raw(`make_interval(hours => ${KEPT_HOURS})`);

/** One row for each request with a key; who runs it is its `owner`, who renews its lease. */
@Injectable()
export class IdempotencyRepository {
  constructor(private readonly prisma: PrismaService) {}

  /** Makes the row, or makes one that is too old anew; false when there is one. */
  async claim(row: {
    id: string;
    projectId: string;
    fingerprint: string | null;
    owner: string;
  }): Promise<boolean> {
    const count = await this.prisma.$executeRaw`
      INSERT INTO "IdempotencyKey" AS k ("id", "projectId", "fingerprint", "owner", "leaseUntil", "createdAt")
      VALUES (${row.id}, ${row.projectId}, ${row.fingerprint}, ${row.owner}, ${lease}, ${NOW})
      ON CONFLICT ("id") DO UPDATE
         SET "fingerprint" = EXCLUDED."fingerprint", "owner" = EXCLUDED."owner",
             "leaseUntil" = EXCLUDED."leaseUntil", "createdAt" = EXCLUDED."createdAt",
             "outcome" = NULL, "status" = NULL, "reply" = NULL, "subject" = NULL
       WHERE k."createdAt" < ${NOW} - ${kept} AND (k."outcome" IS NOT NULL OR k."leaseUntil" < ${NOW})`;
    return count === 1;
  }

  async find(id: string): Promise<(IdempotencyRow & { readonly running: boolean }) | null> {
    const [row] = await this.prisma.$queryRaw<(IdempotencyRow & { running: boolean })[]>`
      SELECT *, ("outcome" IS NULL AND "leaseUntil" >= ${NOW}) AS running
        FROM "IdempotencyKey" WHERE "id" = ${id}`;
    return row ?? null;
  }

  /** Takes over what `before` left unfinished; false when somebody else did. */
  async takeOver(id: string, before: string, owner: string, fingerprint: string | null): Promise<boolean> {
    const count = await this.prisma.$executeRaw`
      UPDATE "IdempotencyKey"
         SET "owner" = ${owner}, "fingerprint" = ${fingerprint}, "subject" = NULL, "leaseUntil" = ${lease}
       WHERE "id" = ${id} AND "owner" = ${before} AND "outcome" IS NULL AND "leaseUntil" < ${NOW}`;
    return count === 1;
  }

  /** Renews leases, owners by id; returns the ids of those that are still theirs. */
  async renew(owners: ReadonlyMap<string, string>): Promise<string[]> {
    const rows = await this.prisma.$queryRaw<{ id: string }[]>`
      UPDATE "IdempotencyKey" SET "leaseUntil" = ${lease}
       WHERE "id" = ANY(${[...owners.keys()]}::text[]) AND "owner" = ANY(${[...owners.values()]}::text[])
         AND "outcome" IS NULL RETURNING "id"`;
    return rows.map(({ id }) => id);
  }

  async note(id: string, owner: string, subject: string): Promise<void> {
    await this.prisma.idempotencyKey.updateMany({ where: { id, owner }, data: { subject } });
  }

  async finish(id: string, owner: string, finished: Finished): Promise<void> {
    await this.prisma.idempotencyKey.updateMany({ where: { id, owner }, data: finished });
  }

  async forget(id: string, owner: string): Promise<void> {
    await this.prisma.idempotencyKey.deleteMany({ where: { id, owner } });
  }

  /** At most `take` of those made before `before`; returns how many. */
  removeOld(before: Date, take: number): Promise<number> {
    return this.prisma.$executeRaw`
      DELETE FROM "IdempotencyKey" WHERE "id" = ANY(ARRAY(
        SELECT "id" FROM "IdempotencyKey" WHERE "createdAt" < ${at(before)}
           AND ("outcome" IS NOT NULL OR "leaseUntil" < ${NOW})
         ORDER BY "createdAt" LIMIT ${take} FOR UPDATE SKIP LOCKED))`;
  }
}
