import { Injectable } from '@nestjs/common';
import type { Container, Prisma } from '../database/generated/client.js';
import { lockedTransaction } from '../database/advisory-lock.js';
import { PrismaService } from '../database/prisma.service.js';
import * as sql from '../database/sql.js';
import { type Announcement, OutboxRepository } from '../outbox/outbox.repository.js';
import { containerStates } from './container.state.js';

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

/** A running container that has its share of the pool. */
export interface PoolHolder {
  readonly id: string;
  readonly bytes: bigint;
  /** Made by the server for a response, so it may be put aside when nobody uses it. */
  readonly auto: boolean;
  /** Code runs in it, or waits to. */
  readonly busy: boolean;
  /** Until it expires if nobody uses it. */
  readonly secondsLeft: number;
}

/** Shares of a project's memory pool, the longest idle container first. */
export interface PoolUse {
  /** Null: the default of the server. */
  readonly quotaBytes: bigint | null;
  readonly holders: readonly PoolHolder[];
}

/** Throws when there is no room; else the ids of the containers that give way. */
export type Admission = (use: PoolUse) => readonly string[];

/** One that has just expired, and the sandbox it may still have. */
export interface EndedContainer {
  readonly id: string;
  readonly projectId: string;
  readonly sandboxId: string | null;
}

export interface Admitted {
  readonly container: ContainerRow;
  /** Containers that were put aside for it. */
  readonly aside: readonly string[];
  /** Containers of the same session key that had run out. */
  readonly ended: readonly EndedContainer[];
}

export interface ListQuery {
  readonly projectId?: string | undefined;
  readonly afterSeq?: bigint | undefined;
  readonly limit: number;
  readonly order: 'asc' | 'desc';
  readonly name?: string | undefined;
}

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
   * Runs `admit` on what the project uses, and inserts if it returns without throwing; it names containers
   * that give way. The project's lock is held meanwhile, so parallel creates cannot overdraw the pool. With a
   * session key, the live container of that key is returned instead, and counts as used just now.
   */
  async insertWithinPool(
    row: NewContainer,
    files: readonly InitialFile[],
    admit: Admission,
  ): Promise<Admitted> {
    const told: string[] = [];
    const admitted = await lockedTransaction(
      this.prisma,
      ['pool', row.projectId],
      async (tx): Promise<Admitted> => {
        let ended: readonly EndedContainer[] = [];
        if (row.sessionKey !== undefined) {
          ended = await this.expireSession(tx, row.projectId, row.sessionKey);
          told.push(...(await this.outbox.announce(tx, ended.map(toExpired))));
          const existing = await this.useSession(tx, row.projectId, row.sessionKey);
          if (existing) return { container: existing, aside: [], ended };
        }
        const aside = admit(await this.poolUse(row.projectId, tx));
        await this.markAside(tx, aside);
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
        return { container, aside, ended };
      },
    );
    this.outbox.wake(told);
    return admitted;
  }

  /** The same for a container that was put aside and is used again; returns those that give way for it. */
  async takeBack(row: ContainerRow, admit: Admission): Promise<readonly string[]> {
    return lockedTransaction(this.prisma, ['pool', row.projectId], async (tx) => {
      const aside = admit(await this.poolUse(row.projectId, tx));
      await this.markAside(tx, aside);
      await tx.container.updateMany({ where: { id: row.id }, data: { aside: false } });
      return aside;
    });
  }

  private async markAside(tx: Prisma.TransactionClient, ids: readonly string[]): Promise<void> {
    if (ids.length > 0)
      await tx.container.updateMany({ where: { id: { in: [...ids] } }, data: { aside: true } });
  }

  /** Writes down that the idle container of a session key has expired, so that the key is free. */
  private async expireSession(
    tx: Prisma.TransactionClient,
    projectId: string,
    sessionKey: string,
  ): Promise<readonly EndedContainer[]> {
    return tx.$queryRaw<EndedContainer[]>`
      UPDATE "Container" SET "status" = 'expired', "endedAt" = ${sql.NOW}
       WHERE "projectId" = ${projectId} AND "sessionKey" = ${sessionKey} AND "status" = 'running'
         AND NOT ${sql.LIVE_CONTAINER}
      RETURNING "id", "projectId", "sandboxId"`;
  }

  /** The running container of a session key, from now on fresh again; what had run out was expired before. */
  private async useSession(
    tx: Prisma.TransactionClient,
    projectId: string,
    sessionKey: string,
  ): Promise<ContainerRow | null> {
    const [row] = await tx.$queryRaw<ContainerRow[]>`
      UPDATE "Container" SET "lastActiveAt" = ${sql.NOW}
       WHERE "projectId" = ${projectId} AND "sessionKey" = ${sessionKey} AND "status" = 'running'
      RETURNING *`;
    return row ?? null;
  }

  async poolUse(projectId: string, tx: Prisma.TransactionClient = this.prisma): Promise<PoolUse> {
    const [project] = await tx.$queryRaw<{ quota: bigint | null }[]>`
      SELECT "memoryPoolBytes" AS quota FROM "Project" WHERE "id" = ${projectId}`;
    const holders = await tx.$queryRaw<PoolHolder[]>`
      SELECT c."id", c."memoryBytes" AS bytes, c."auto",
             extract(epoch FROM c."lastActiveAt" + make_interval(mins => c."idleMinutes") - ${sql.NOW})::float AS "secondsLeft",
             EXISTS (SELECT 1 FROM "Execution" e
                      WHERE e."containerId" = c."id" AND e."status" IN ('queued', 'running')) AS busy
        FROM "Container" c
       WHERE c."projectId" = ${projectId} AND ${sql.LIVE_CONTAINER} AND NOT c."aside"
       ORDER BY c."lastActiveAt"`;
    return { quotaBytes: project?.quota ?? null, holders };
  }

  /** Any state but deleted; null also when it belongs to another project. */
  async find(projectId: string, id: string): Promise<ContainerRow | null> {
    return this.prisma.container.findFirst({ where: { id, projectId, status: { not: 'deleted' } } });
  }

  /** Whatever its project and status; for the bindings of sandboxes. */
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
    const rows = await this.prisma.$queryRaw<ContainerRow[]>`
      UPDATE "Container" SET "lastActiveAt" = ${sql.NOW} FROM ${sql.RELAXED}
       WHERE "id" = ${id} AND "projectId" = ${projectId} AND ${sql.LIVE_CONTAINER} RETURNING "Container".*`;
    return rows[0] ?? null;
  }

  /** Heartbeat of a running execution: counts from its start, so it also revives the last minute. */
  async heartbeat(id: string): Promise<void> {
    await this.prisma.$executeRaw`
      UPDATE "Container" SET "lastActiveAt" = ${sql.NOW} FROM ${sql.RELAXED}
       WHERE "id" = ${id} AND "status" = 'running'`;
  }

  /** Writes down that a sandbox serves it, if nobody else did meanwhile; the new generation or null. */
  async bind(id: string, sandboxId: string, generation: number): Promise<number | null> {
    const { count } = await this.prisma.container.updateMany({
      where: { id, status: 'running', generation },
      data: { sandboxId, generation: generation + 1 },
    });
    return count === 1 ? generation + 1 : null;
  }

  /** Its sandbox sleeps: it has no share of the memory pool until it is used again. */
  async setAside(id: string, sandboxId: string): Promise<void> {
    await this.prisma.container.updateMany({
      where: { id, sandboxId, status: 'running' },
      data: { aside: true },
    });
  }

  async unbind(id: string, sandboxId: string): Promise<void> {
    await this.prisma.container.updateMany({ where: { id, sandboxId }, data: { sandboxId: null } });
  }

  /** running|expired → deleted; false when it was deleted before. Its files go with it. */
  async markDeleted(id: string): Promise<boolean> {
    return this.prisma.$transaction(async (tx) => {
      const { count } = await tx.container.updateMany({
        where: { id, status: { in: containerStates.sourcesOf('deleted') } },
        data: { status: 'deleted', endedAt: new Date(), sandboxId: null, sessionKey: null },
      });
      if (count === 1) await tx.containerFile.deleteMany({ where: { containerId: id } });
      return count === 1;
    });
  }

  /** running → expired, before its time; false when it was over already. */
  async markExpired(id: string): Promise<boolean> {
    const told = await this.prisma.$transaction(async (tx) => {
      const ended = await tx.container.updateManyAndReturn({
        where: { id, status: { in: containerStates.sourcesOf('expired') } },
        data: { status: 'expired', endedAt: new Date() },
        select: { id: true, projectId: true, sandboxId: true },
      });
      return ended.length === 0 ? null : this.outbox.announce(tx, ended.map(toExpired));
    });
    if (told !== null) this.outbox.wake(told);
    return told !== null;
  }

  /** Writes down what has expired, but for containers that are in use; returns what it ended. */
  async expireDue(inUse: readonly string[]): Promise<readonly EndedContainer[]> {
    const { rows, told } = await this.prisma.$transaction(async (tx) => {
      const expired = await tx.$queryRaw<EndedContainer[]>`
        UPDATE "Container" SET "status" = 'expired', "endedAt" = ${sql.NOW}
         WHERE "status" = 'running' AND NOT ${sql.LIVE_CONTAINER} AND "id" <> ALL (${[...inUse]})
        RETURNING "id", "projectId", "sandboxId"`;
      return { rows: expired, told: await this.outbox.announce(tx, expired.map(toExpired)) };
    });
    this.outbox.wake(told);
    return rows;
  }

  /** Every row that names a sandbox, for the reconciler. */
  async bound(): Promise<ContainerRow[]> {
    return this.prisma.container.findMany({ where: { sandboxId: { not: null } } });
  }

  /** Of these, the ones that still run; for the reconciler. */
  async runningAmong(ids: readonly string[]): Promise<ReadonlyMap<string, string | null>> {
    const rows = await this.prisma.container.findMany({
      where: { id: { in: [...ids] }, status: 'running' },
      select: { id: true, sandboxId: true },
    });
    return new Map(rows.map((row) => [row.id, row.sandboxId]));
  }
}
