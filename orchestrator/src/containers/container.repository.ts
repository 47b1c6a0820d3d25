import { Injectable } from '@nestjs/common';
import type { Container, Prisma } from '../database/generated/client.js';
import { lockInTransaction } from '../database/advisory-lock.js';
import { PrismaService } from '../database/prisma.service.js';
import * as sql from '../database/sql.js';
import { type Announcement, OutboxRepository } from '../outbox/outbox.repository.js';

export type ContainerRow = Container;

export interface NewContainer {
  readonly id: string;
  readonly projectId: string;
  readonly name: string;
  readonly memoryLimit: string;
  readonly memoryBytes: bigint;
  readonly idleMinutes: number;
  readonly networkPolicy: Prisma.InputJsonValue;
  readonly sessionKey?: string | undefined;
  readonly auto: boolean;
}

/** A file to be copied into a container that is being created. */
export interface InitialFile {
  readonly id: string;
  readonly path: string;
  readonly bytes: bigint;
  readonly blobSha256: string;
  readonly fileId: string;
}

export interface PoolUse {
  readonly quotaBytes: bigint | null;
  readonly usedBytes: bigint;
}

export interface ListQuery {
  readonly projectId?: string | undefined;
  readonly afterSeq?: bigint | undefined;
  readonly limit: number;
  readonly order: 'asc' | 'desc';
  readonly name?: string | undefined;
}

const NOW = sql.NOW.sql;
/** How fresh the idle clock is may be forgotten. */
const RELAXED = sql.RELAXED.sql;
const LIVE = sql.LIVE_CONTAINER.sql;

const toExpired = (row: { id: string; projectId: string }): Announcement => ({
  projectId: row.projectId,
  type: 'container.expired',
  subjectId: row.id,
});

@Injectable()
export class ContainerRepository {
  constructor(
    private readonly prisma: PrismaService,
    private readonly outbox: OutboxRepository,
  ) {}

  /**
   * Runs `decide` on what the project uses, and inserts if it returns without throwing. The project's
   * lock is held meanwhile, so parallel creates cannot overdraw the pool.
   */
  async insertWithinPool(
    row: NewContainer,
    files: readonly InitialFile[],
    decide: (use: PoolUse) => void,
  ): Promise<ContainerRow> {
    const told: string[] = [];
    const container = await this.prisma.$transaction(async (tx) => {
      await lockInTransaction(tx, 'pool', row.projectId);
      if (row.sessionKey !== undefined) {
        told.push(...(await this.expireSession(tx, row.projectId, row.sessionKey)));
        const existing = await this.findSession(tx, row.projectId, row.sessionKey);
        if (existing) return existing;
      }
      decide(await this.poolUse(row.projectId, tx));
      const container = await tx.container.create({ data: { ...row, sessionKey: row.sessionKey ?? null } });
      if (files.length > 0) {
        await tx.containerFile.createMany({
          data: files.map((file) => ({
            ...file,
            containerId: row.id,
            projectId: row.projectId,
            source: 'user' as const,
          })),
        });
      }
      return container;
    });
    this.outbox.wake(told);
    return container;
  }

  /** Writes down that the idle container of a session key has expired, so that the key is free. */
  private async expireSession(
    tx: Prisma.TransactionClient,
    projectId: string,
    sessionKey: string,
  ): Promise<readonly string[]> {
    const rows = await tx.$queryRawUnsafe<{ id: string; projectId: string }[]>(
      `UPDATE "Container" SET "status" = 'expired', "endedAt" = ${NOW} WHERE "projectId" = $1 AND "sessionKey" = $2 AND "status" = 'running' AND NOT ${LIVE}
       RETURNING "id", "projectId"`,
      projectId,
      sessionKey,
    );
    return this.outbox.announce(tx, rows.map(toExpired));
  }

  /** The live container of a session key. */
  private async findSession(
    tx: Prisma.TransactionClient,
    projectId: string,
    sessionKey: string,
  ): Promise<ContainerRow | null> {
    return tx.container.findFirst({ where: { projectId, sessionKey, status: 'running' } });
  }

  async poolUse(projectId: string, tx: Prisma.TransactionClient = this.prisma): Promise<PoolUse> {
    const [row] = await tx.$queryRawUnsafe<{ quota: bigint | null; used: bigint }[]>(
      `SELECT p."memoryPoolBytes" AS quota,
              coalesce((SELECT sum("memoryBytes") FROM "Container" WHERE "projectId" = $1 AND ${LIVE}), 0)::bigint AS used
         FROM "Project" p WHERE p."id" = $1`,
      projectId,
    );
    return { quotaBytes: row?.quota ?? null, usedBytes: row?.used ?? 0n };
  }

  /** Any state but deleted; null also when it belongs to another project. */
  async find(projectId: string, id: string): Promise<ContainerRow | null> {
    return this.prisma.container.findFirst({ where: { id, projectId, status: { not: 'deleted' } } });
  }

  /** Whatever its project: for the sweep and the admin API. */
  async findAny(id: string): Promise<ContainerRow | null> {
    return this.prisma.container.findUnique({ where: { id } });
  }

  async list(query: ListQuery): Promise<ContainerRow[]> {
    return this.prisma.container.findMany({
      where: {
        status: { not: 'deleted' },
        ...(query.projectId === undefined ? {} : { projectId: query.projectId }),
        ...(query.name === undefined ? {} : { name: query.name }),
        ...(query.afterSeq === undefined
          ? {}
          : { seq: query.order === 'asc' ? { gt: query.afterSeq } : { lt: query.afterSeq } }),
      },
      orderBy: { seq: query.order },
      take: query.limit,
    });
  }

  /** Refreshes the idle clock of a container that still runs, and reads it; null when it is not there or ran out. */
  async touch(projectId: string, id: string): Promise<ContainerRow | null> {
    const rows = await this.prisma.$queryRawUnsafe<ContainerRow[]>(
      `UPDATE "Container" SET "lastActiveAt" = ${NOW} FROM ${RELAXED}
        WHERE "id" = $1 AND "projectId" = $2 AND ${LIVE} RETURNING "Container".*`,
      id,
      projectId,
    );
    return rows[0] ?? null;
  }

  /** Heartbeat of a running execution: counts from its start, so it also revives the last minute. */
  async heartbeat(id: string): Promise<void> {
    await this.prisma.$executeRawUnsafe(
      `UPDATE "Container" SET "lastActiveAt" = ${NOW} FROM ${RELAXED} WHERE "id" = $1 AND "status" = 'running'`,
      id,
    );
  }

  /** Writes down that a sandbox serves it, if nobody else did meanwhile; the new generation or null. */
  async bind(id: string, sandboxId: string, generation: number): Promise<number | null> {
    const { count } = await this.prisma.container.updateMany({
      where: { id, status: 'running', generation },
      data: { sandboxId, generation: generation + 1 },
    });
    return count === 1 ? generation + 1 : null;
  }

  async unbind(id: string, sandboxId: string): Promise<void> {
    await this.prisma.container.updateMany({ where: { id, sandboxId }, data: { sandboxId: null } });
  }

  /** running|expired → deleted; false when it was deleted before. Its files go with it. */
  async markDeleted(id: string): Promise<boolean> {
    const { count } = await this.prisma.container.updateMany({
      where: { id, status: { in: ['running', 'expired'] } },
      data: { status: 'deleted', endedAt: new Date(), sandboxId: null, sessionKey: null },
    });
    return count === 1;
  }

  /** Writes down what has expired; returns those that still have a sandbox or did so just now. */
  async expireDue(): Promise<{ id: string; projectId: string; sandboxId: string | null }[]> {
    const { rows, told } = await this.prisma.$transaction(async (tx) => {
      const expired = await tx.$queryRawUnsafe<{ id: string; projectId: string; sandboxId: string | null }[]>(
        `UPDATE "Container" SET "status" = 'expired', "endedAt" = ${NOW} WHERE "status" = 'running' AND NOT ${LIVE}
         RETURNING "id", "projectId", "sandboxId"`,
      );
      return { rows: expired, told: await this.outbox.announce(tx, expired.map(toExpired)) };
    });
    this.outbox.wake(told);
    return rows;
  }

  async clearSandbox(ids: readonly string[]): Promise<void> {
    await this.prisma.container.updateMany({ where: { id: { in: [...ids] } }, data: { sandboxId: null } });
  }

  /** Every row that names a sandbox, for the reconciler. */
  async bound(): Promise<ContainerRow[]> {
    return this.prisma.container.findMany({ where: { sandboxId: { not: null } } });
  }

  async countLive(): Promise<number> {
    const [row] = await this.prisma.$queryRawUnsafe<{ count: bigint }[]>(
      `SELECT count(*) AS count FROM "Container" WHERE ${LIVE}`,
    );
    return Number(row?.count ?? 0n);
  }
}
