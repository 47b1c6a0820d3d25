/** Executions of all projects, as an operator sees them: without what was run and printed. */
import { Injectable } from '@nestjs/common';
import type { Prisma } from '../database/generated/client.js';
import { PrismaService } from '../database/prisma.service.js';
import type { AdminExecutionStatus } from './admin.schema.js';

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

export type AdminExecutionRow = Prisma.ExecutionGetPayload<{ select: typeof COLUMNS }>;

export interface AdminExecutionQuery {
  readonly projectId?: string | undefined;
  readonly containerId?: string | undefined;
  readonly status?: AdminExecutionStatus | undefined;
  readonly afterSeq?: bigint | undefined;
  readonly limit: number;
  readonly order: 'asc' | 'desc';
}

@Injectable()
export class AdminExecutionRepository {
  constructor(private readonly prisma: PrismaService) {}

  find(id: string): Promise<AdminExecutionRow | null> {
    return this.prisma.execution.findUnique({ where: { id }, select: COLUMNS });
  }

  list(query: AdminExecutionQuery): Promise<AdminExecutionRow[]> {
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

  /** The code of these, by id; asked for only when the operator wants to see it. */
  async codeOf(ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const rows = await this.prisma.execution.findMany({
      where: { id: { in: [...ids] } },
      select: { id: true, code: true },
    });
    return new Map(rows.map((row) => [row.id, row.code]));
  }

  /** Queued or running, in all projects. */
  countRunning(): Promise<number> {
    return this.prisma.execution.count({ where: { status: { in: ['queued', 'running'] } } });
  }
}
