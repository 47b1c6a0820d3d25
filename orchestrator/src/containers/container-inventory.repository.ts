import { Injectable } from '@nestjs/common';
import { Prisma } from '../database/generated/client.js';
import { PrismaService } from '../database/prisma.service.js';
import { LIVE_CONTAINER } from '../database/sql.js';
import { byProject, numberOf, type Sums } from '../database/usage.js';
import type { ContainerCount, ContainerCounts } from '../observability/container-counts.js';
import {
  type ContainerFileUse,
  ContainerInventory,
  type ContainerQuery,
  type ContainerRow,
  type ContainerUse,
} from './inventory.lookup.js';

const STATUS: Readonly<Record<'running' | 'expired' | 'deleted', Prisma.Sql>> = {
  running: LIVE_CONTAINER,
  expired: Prisma.sql`("status" = 'expired' OR ("status" = 'running' AND NOT ${LIVE_CONTAINER}))`,
  deleted: Prisma.sql`"status" = 'deleted'`,
};

@Injectable()
export class StoredContainerInventory extends ContainerInventory implements ContainerCounts {
  constructor(private readonly prisma: PrismaService) {
    super();
  }

  override find(id: string): Promise<ContainerRow | null> {
    return this.prisma.container.findUnique({ where: { id } });
  }

  override async list(query: ContainerQuery): Promise<ContainerRow[]> {
    const { projectId, status, afterSeq, limit, order } = query;
    const isAsc = order === 'asc';
    const where = [status === undefined ? Prisma.sql`"status" <> 'deleted'` : STATUS[status]];
    if (projectId !== undefined) where.push(Prisma.sql`"projectId" = ${projectId}`);
    if (afterSeq !== undefined)
      where.push(isAsc ? Prisma.sql`"seq" > ${afterSeq}` : Prisma.sql`"seq" < ${afterSeq}`);
    const rows = await this.prisma.$queryRaw<{ id: string }[]>`
      SELECT "id" FROM "Container" WHERE ${Prisma.join(where, ' AND ')}
       ORDER BY "seq" ${isAsc ? Prisma.sql`ASC` : Prisma.sql`DESC`} LIMIT ${limit}`;
    return this.prisma.container.findMany({
      where: { id: { in: rows.map((row) => row.id) } },
      orderBy: { seq: order },
    });
  }

  override countBound(): Promise<number> {
    return this.prisma.container.count({ where: { status: 'running', sandboxId: { not: null } } });
  }

  override count(projectId: string): Promise<number> {
    return this.prisma.container.count({ where: { projectId, status: { not: 'deleted' } } });
  }

  override async idsOf(projectId: string, most: number): Promise<string[]> {
    const rows = await this.prisma.container.findMany({
      where: { projectId, status: { not: 'deleted' } },
      select: { id: true },
      take: most,
    });
    return rows.map((row) => row.id);
  }

  async countLive(): Promise<ContainerCount> {
    const [row] = await this.prisma.$queryRaw<{ live: bigint; bound: bigint }[]>`
      SELECT count(*) AS live, count("sandboxId") AS bound FROM "Container" WHERE ${LIVE_CONTAINER}`;
    return { live: Number(row?.live ?? 0n), bound: Number(row?.bound ?? 0n) };
  }

  override async use(projectIds: readonly string[]): Promise<ReadonlyMap<string, ContainerUse>> {
    const rows = await this.prisma.$queryRaw<Sums[]>`
      SELECT "projectId", count(*) AS count, coalesce(sum("memoryBytes") FILTER (WHERE NOT "aside"), 0)::bigint AS bytes FROM "Container"
       WHERE "projectId" = ANY(${[...projectIds]}::text[]) AND ${LIVE_CONTAINER}
       GROUP BY "projectId"`;
    return byProject(rows, (row) => ({
      running: numberOf(row, 'count'),
      memoryBytes: numberOf(row, 'bytes'),
    }));
  }

  override async useOfFiles(projectIds: readonly string[]): Promise<ReadonlyMap<string, ContainerFileUse>> {
    const rows = await this.prisma.$queryRaw<Sums[]>`
      SELECT f."projectId", count(*) AS count, sum(f."bytes")::bigint AS bytes
        FROM "ContainerFile" f JOIN "Container" c ON c."id" = f."containerId"
       WHERE f."projectId" = ANY(${[...projectIds]}::text[]) AND f."deletedAt" IS NULL AND c."status" <> 'deleted'
       GROUP BY f."projectId"`;
    return byProject(rows, (row) => ({ count: numberOf(row, 'count'), bytes: numberOf(row, 'bytes') }));
  }
}
