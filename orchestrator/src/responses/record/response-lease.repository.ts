/** Who runs a response, by the database's clock: leases of claims and of runs that a client waits for. */
import { Inject, Injectable } from '@nestjs/common';
import { ENV } from '../../config/config.module.js';
import type { Env } from '../../config/env.schema.js';
import { Prisma, type Response } from '../../database/generated/client.js';
import { PrismaService } from '../../database/prisma.service.js';
import { NOW } from '../../database/sql.js';
import { open, sourcesOf } from './response.state.js';

/** Another attempt runs this response now, or it has ended: whoever gets this stops at once. */
export class FencedError extends Error {
  override readonly name = 'FencedError';

  constructor(id: string, attempt: number) {
    super(`response ${id} belongs to another attempt than ${attempt}`);
  }
}

export interface Claim {
  readonly row: Response;
  /** In the WHERE of every later write; a newer claim makes this one's writes fail. */
  readonly attempt: number;
}

/** A background response that somebody should run. */
export interface Waiting {
  readonly id: string;
  readonly attempt: number;
}

const TAKE = 100;

@Injectable()
export class ResponseLeaseRepository {
  constructor(
    private readonly prisma: PrismaService,
    @Inject(ENV) private readonly env: Env,
  ) {}

  /** Takes a response that waits, or whose runner went silent; null when there is nothing to take. */
  async claim(id: string): Promise<Claim | null> {
    const [taken] = await this.prisma.$queryRaw<{ attempt: number }[]>`
      UPDATE "Response"
         SET "status" = 'in_progress', "attempt" = "attempt" + 1, "leaseUntil" = ${this.leaseEnd}
       WHERE "id" = ${id} AND "background" AND "deletedAt" IS NULL
         AND "status"::text = ANY(${sourcesOf('in_progress')})
         AND ("status" = 'queued' OR "leaseUntil" < ${NOW})
      RETURNING "attempt"`;
    if (!taken) return null;
    const row = await this.prisma.response.findUnique({ where: { id } });
    return row && { row, attempt: taken.attempt };
  }

  /** Keeps the claim; tells whether the caller asked to cancel. Throws {@link FencedError} when it is lost. */
  async heartbeat(id: string, attempt: number): Promise<{ cancelRequested: boolean }> {
    const [row] = await this.prisma.$queryRaw<{ asked: boolean }[]>`
      UPDATE "Response" SET "leaseUntil" = ${this.leaseEnd}
       WHERE "id" = ${id} AND "attempt" = ${attempt} AND "status" = 'in_progress'
      RETURNING "cancelRequestedAt" IS NOT NULL AS "asked"`;
    if (!row) throw new FencedError(id, attempt);
    return { cancelRequested: row.asked };
  }

  /** Gives the claim back, so that another process may take the response at once. */
  async release(id: string, attempt: number): Promise<void> {
    await this.prisma.response.updateMany({
      where: { id, attempt, status: 'in_progress' },
      data: { leaseUntil: new Date(0) },
    });
  }

  /**
   * Background responses that wait, or whose runner went silent, oldest first; not those that this process
   * runs itself, nor those that wait for a slot of these keys.
   */
  async abandoned(running: readonly string[], busyKeys: readonly string[]): Promise<Waiting[]> {
    return this.prisma.$queryRaw<Waiting[]>`
      SELECT "id", "attempt" FROM "Response"
       WHERE "background" AND "deletedAt" IS NULL AND "id" <> ALL(${[...running]})
         AND (("status" = 'queued' AND coalesce("keyId" <> ALL(${[...busyKeys]}), true))
              OR ("status" = 'in_progress' AND "leaseUntil" < ${NOW}))
       ORDER BY "seq" LIMIT ${TAKE}`;
  }

  /** Keeps runs that a client waits for; returns those that had not ended. Locks in the order of ids, as ends do. */
  async keepWaited(ids: readonly string[]): Promise<string[]> {
    const rows = await this.prisma.$queryRaw<{ id: string }[]>`
      WITH open AS (
        SELECT "id" FROM "Response"
         WHERE "id" = ANY(${[...ids]}) AND NOT "background" AND "status" = ANY(${open()}::"ResponseStatus"[])
         ORDER BY "id" FOR UPDATE
      )
      UPDATE "Response" r SET "leaseUntil" = ${this.leaseEnd} FROM open WHERE r."id" = open."id"
      RETURNING r."id"`;
    return rows.map(({ id }) => id);
  }

  /**
   * Responses that a client waited for and nobody runs any more; not those that this process runs. At boot
   * that is every one that has not ended (`all`); later those whose lease is over.
   */
  async abandonedWaited(running: readonly string[], all: boolean): Promise<Response[]> {
    return this.prisma.$queryRaw<Response[]>`
      SELECT * FROM "Response"
       WHERE NOT "background" AND "status" = ANY(${open()}::"ResponseStatus"[]) AND "id" <> ALL(${[...running]})
         AND (${all} OR coalesce("leaseUntil", "createdAt" + ${this.lease}) < ${NOW})
       LIMIT ${TAKE}`;
  }

  private get lease(): Prisma.Sql {
    return Prisma.sql`make_interval(secs => ${this.env.RESPONSE_LEASE_SECONDS})`;
  }

  private get leaseEnd(): Prisma.Sql {
    return Prisma.sql`${NOW} + ${this.lease}`;
  }
}
