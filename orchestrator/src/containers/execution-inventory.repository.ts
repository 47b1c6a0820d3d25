import { Injectable } from '@nestjs/common';
import type { Prisma } from '../database/generated/client.js';
import { PrismaService } from '../database/prisma.service.js';
import { byProject, numberOf, type Sums, within } from '../database/usage.js';
import type { Period } from '../common/period.js';
import { ExecutionInventory, type ExecutionQuery, type ExecutionUse } from './inventory.lookup.js';

const COLUMNS = {
  id: true,
  seq: true,
  containerId: true,
  projectId: true,
  responseId: true,
  status: true,
  errorName: true,
  stateLost: true,
  timeoutMs: true,
  durationMs: true,
  peakMemoryBytes: true,
  createdAt: true,
  startedAt: true,
  endedAt: true,
} satisfies Prisma.ExecutionSelect;

export type ExecutionSummary = Prisma.ExecutionGetPayload<{ select: typeof COLUMNS }>;

@Injectable()
export class StoredExecutionInventory extends ExecutionInventory {
  constructor(private readonly prisma: PrismaService) {
    super();
  }

  override find(id: string): Promise<ExecutionSummary | null> {
    return this.prisma.execution.findUnique({ where: { id }, select: COLUMNS });
  }

  override list(query: ExecutionQuery): Promise<ExecutionSummary[]> {
    const seq = query.order === 'asc' ? { gt: query.afterSeq } : { lt: query.afterSeq };
    return this.prisma.execution.findMany({
      where: {
        ...(query.projectId === undefined ? {} : { projectId: query.projectId }),
        ...(query.containerId === undefined ? {} : { containerId: query.containerId }),
        ...(query.status === undefined ? {} : { status: query.status }),
        ...(query.afterSeq === undefined ? {} : { seq }),
      },
      orderBy: { seq: query.order },
      take: query.limit,
      select: COLUMNS,
    });
  }

  override async codeOf(ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const rows = await this.prisma.execution.findMany({
      where: { id: { in: [...ids] } },
      select: { id: true, code: true },
    });
    return new Map(rows.map((row) => [row.id, row.code]));
  }

  override countRunning(projectId?: string): Promise<number> {
    return this.prisma.execution.count({
      where: { status: { in: ['queued', 'running'] }, ...(projectId === undefined ? {} : { projectId }) },
    });
  }

  override async use(
    projectIds: readonly string[],
    period: Period,
  ): Promise<ReadonlyMap<string, ExecutionUse>> {
    const rows = await this.prisma.$queryRaw<Sums[]>`
      SELECT "projectId", count(*) AS count, sum("durationMs")::bigint AS ms FROM "Execution"
       WHERE "projectId" = ANY(${[...projectIds]}::text[]) AND ${within(period)}
       GROUP BY "projectId"`;
    return byProject(rows, (row) => ({ count: numberOf(row, 'count'), durationMs: numberOf(row, 'ms') }));
  }
}
