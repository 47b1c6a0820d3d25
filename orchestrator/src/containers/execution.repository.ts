import { Injectable } from '@nestjs/common';
import type { Execution, Prisma } from '../database/generated/client.js';
import { PrismaService } from '../database/prisma.service.js';
import { RELAXED } from '../database/sql.js';
import type { ExecutionState } from './execution.state.js';

export type ExecutionRow = Execution;

export interface NewExecution {
  readonly id: string;
  readonly containerId: string;
  readonly projectId: string;
  readonly responseId?: string | undefined;
  readonly code: string;
  readonly timeoutMs: number;
}

export interface ExecutionEnd {
  readonly status: ExecutionState;
  readonly outputs: Prisma.InputJsonValue;
  readonly files: Prisma.InputJsonValue;
  readonly notices: Prisma.InputJsonValue;
  readonly errorName: string | null;
  readonly stateLost: boolean;
  readonly durationMs: number | null;
  readonly peakMemoryBytes: bigint | null;
}

@Injectable()
export class ExecutionRepository {
  constructor(private readonly prisma: PrismaService) {}

  /**
   * `running` when its turn has come already; that saves a write on the way to the first output. Nor does
   * it wait for the disk: whatever is written after it, its end above all, takes it along.
   */
  async insert(row: NewExecution, running: boolean): Promise<ExecutionRow> {
    const now = new Date();
    const [inserted] = await this.prisma.$queryRaw<ExecutionRow[]>`
      INSERT INTO "Execution"
             ("id", "containerId", "projectId", "responseId", "code", "timeoutMs", "status", "createdAt", "startedAt")
      SELECT ${row.id}, ${row.containerId}, ${row.projectId}, ${row.responseId ?? null}, ${row.code}, ${row.timeoutMs},
             ${running ? 'running' : 'queued'}::"ExecutionStatus", ${now}, ${running ? now : null}
        FROM ${RELAXED}
      RETURNING *`;
    return inserted!;
  }

  async markRunning(id: string): Promise<void> {
    await this.prisma.execution.updateMany({
      where: { id, status: 'queued' },
      data: { status: 'running', startedAt: new Date() },
    });
  }

  /** Writes the end once; a second writer changes nothing and gets the row as it is. */
  async finish(id: string, end: ExecutionEnd): Promise<ExecutionRow> {
    const [written] = await this.prisma.execution.updateManyAndReturn({
      where: { id, status: { in: ['queued', 'running'] } },
      data: { ...end, endedAt: new Date() },
    });
    return written ?? this.prisma.execution.findUniqueOrThrow({ where: { id } });
  }

  /** Ends a row that nobody ended; does nothing otherwise. */
  async close(id: string): Promise<void> {
    await this.prisma.execution.updateMany({
      where: { id, status: { in: ['queued', 'running'] } },
      data: { status: 'interrupted', endedAt: new Date() },
    });
  }

  async find(containerId: string, id: string): Promise<ExecutionRow | null> {
    return this.prisma.execution.findFirst({ where: { id, containerId } });
  }

  async list(query: {
    containerId?: string | undefined;
    afterSeq?: bigint | undefined;
    limit: number;
    order: 'asc' | 'desc';
  }): Promise<ExecutionRow[]> {
    return this.prisma.execution.findMany({
      where: {
        ...(query.containerId === undefined ? {} : { containerId: query.containerId }),
        ...(query.afterSeq === undefined
          ? {}
          : { seq: query.order === 'asc' ? { gt: query.afterSeq } : { lt: query.afterSeq } }),
      },
      orderBy: { seq: query.order },
      take: query.limit,
    });
  }

  /** Executions of one response, oldest first. */
  async ofResponse(responseId: string): Promise<ExecutionRow[]> {
    return this.prisma.execution.findMany({ where: { responseId }, orderBy: { seq: 'asc' } });
  }

  async findAny(id: string): Promise<ExecutionRow | null> {
    return this.prisma.execution.findUnique({ where: { id } });
  }

  /** At boot: whatever an earlier process left unfinished cannot finish any more. */
  async failUnfinished(notice: { code: string; message: string }): Promise<number> {
    const { count } = await this.prisma.execution.updateMany({
      where: { status: { in: ['queued', 'running'] } },
      data: { status: 'failed', endedAt: new Date(), notices: [notice] },
    });
    return count;
  }
}
