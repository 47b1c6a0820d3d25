/** Containers of all projects, as an operator sees them. */
import { Injectable } from '@nestjs/common';
import { type Container, Prisma } from '../database/generated/client.js';
import { PrismaService } from '../database/prisma.service.js';
import { LIVE_CONTAINER } from '../database/sql.js';

export type AdminContainerRow = Container;

export interface AdminContainerQuery {
  readonly projectId?: string | undefined;
  readonly status?: 'running' | 'expired' | 'deleted' | undefined;
  readonly afterSeq?: bigint | undefined;
  readonly limit: number;
  readonly order: 'asc' | 'desc';
}

const STATUS: Readonly<Record<'running' | 'expired' | 'deleted', Prisma.Sql>> = {
  running: LIVE_CONTAINER,
  expired: Prisma.sql`("status" = 'expired' OR ("status" = 'running' AND NOT ${LIVE_CONTAINER}))`,
  deleted: Prisma.sql`"status" = 'deleted'`,
};

@Injectable()
export class AdminContainerRepository {
  constructor(private readonly prisma: PrismaService) {}

  /** In whatever state. */
  find(id: string): Promise<AdminContainerRow | null> {
    return this.prisma.container.findUnique({ where: { id } });
  }

  /** Deleted ones only when they are asked for. */
  async list(query: AdminContainerQuery): Promise<AdminContainerRow[]> {
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

  /** Running containers that a sandbox serves. */
  countBound(): Promise<number> {
    return this.prisma.container.count({ where: { status: 'running', sandboxId: { not: null } } });
  }
}
