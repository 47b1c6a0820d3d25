import { Injectable } from '@nestjs/common';
import { type Execution, Prisma } from '../database/generated/client.js';
import { PrismaService } from '../database/prisma.service.js';
import { at, NOW, RELAXED } from '../database/sql.js';
import type { ExecutionOutput } from './execution-outputs.js';
import { type ExecutionState, executionStates } from './execution.state.js';
import type { ExecutionValue } from './execution-value.js';
import type { Notice } from './notices.js';

/** A file that an execution made, changed or removed. */
export interface ExecutionFile {
  readonly id: string;
  readonly path: string;
  readonly bytes: number;
  readonly change: 'created' | 'modified' | 'deleted';
}

interface Contents {
  readonly outputs: readonly ExecutionOutput[];
  readonly files: readonly ExecutionFile[];
  readonly value: ExecutionValue | null;
}

export type ExecutionRow = Omit<Execution, keyof Contents> & Contents;

/** The one place that says what is in the JSON columns: nobody else writes them. */
const typed = (row: Execution): ExecutionRow => row as unknown as ExecutionRow;

export interface NewExecution {
  readonly id: string;
  readonly containerId: string;
  readonly projectId: string;
  readonly responseId?: string | undefined;
  readonly code: string;
  readonly timeoutMs: number;
}

export interface ExecutionEnd extends Contents {
  readonly status: ExecutionState;
  readonly errorName: string | null;
  readonly stateLost: boolean;
  readonly durationMs: number | null;
  readonly peakMemoryBytes: bigint | null;
}

export interface ExecutionQuery {
  readonly containerId: string;
  readonly responseId?: string | undefined;
  readonly afterSeq?: bigint | undefined;
  readonly limit: number;
  readonly order: 'asc' | 'desc';
  /** Bytes of code, outputs and values on one page. */
  readonly maxBytes: number;
}

@Injectable()
export class ExecutionRepository {
  constructor(private readonly prisma: PrismaService) {}

  /**
   * `running` when its turn has come already; that saves a write on the way to the first output. Nor does
   * it wait for the disk: whatever is written after it takes it along, and a database that is killed before
   * that gets it again with its end.
   */
  async insert(row: NewExecution, running: boolean): Promise<ExecutionRow> {
    const now = new Date();
    const [inserted] = await this.prisma.$queryRaw<Execution[]>`
      INSERT INTO "Execution"
             ("id", "containerId", "projectId", "responseId", "code", "timeoutMs", "status", "createdAt", "startedAt")
      SELECT ${row.id}, ${row.containerId}, ${row.projectId}, ${row.responseId ?? null}, ${row.code}, ${row.timeoutMs},
             ${running ? 'running' : 'queued'}::"ExecutionStatus", ${now}, ${running ? now : null}
        FROM ${RELAXED}
      RETURNING *`;
    return typed(inserted!);
  }

  async markRunning(id: string): Promise<void> {
    await this.prisma.execution.updateMany({
      where: { id, status: { in: executionStates.sourcesOf('running') } },
      data: { status: 'running', startedAt: new Date() },
    });
  }

  /** Writes the end once; a second writer changes nothing and gets the row as it is. `row` is what `insert` gave. */
  async finish({ seq: _lost, ...row }: ExecutionRow, end: ExecutionEnd): Promise<ExecutionRow> {
    const { id } = row;
    const written = {
      ...end,
      outputs: end.outputs.map((output) => ({ ...output })),
      files: end.files.map((file) => ({ ...file })),
      value:
        end.value === null
          ? Prisma.DbNull
          : { from: end.value.from, json: end.value.json as Prisma.InputJsonValue },
      endedAt: new Date(),
    };
    const [found] = await this.prisma.execution.updateManyAndReturn({
      where: { id, status: { in: executionStates.sourcesOf(end.status) } },
      data: written,
    });
    if (found) return typed(found);
    const whole = { ...row, startedAt: row.startedAt ?? row.createdAt, ...written };
    await this.prisma.execution.createMany({ data: [whole], skipDuplicates: true });
    return typed(await this.prisma.execution.findUniqueOrThrow({ where: { id } }));
  }

  async find(containerId: string, id: string): Promise<ExecutionRow | null> {
    const row = await this.prisma.execution.findFirst({ where: { id, containerId } });
    return row && typed(row);
  }

  /**
   * At most `limit` rows, and no more than fit in `maxBytes` of code, outputs and values together, but always one:
   * code may have 10 MB and outputs another one, so a page of a hundred would be a gigabyte.
   */
  async list(query: ExecutionQuery): Promise<{ rows: ExecutionRow[]; hasMore: boolean }> {
    const { containerId, responseId, afterSeq, limit, order, maxBytes } = query;
    const isAscending = order === 'asc';
    const beyond = isAscending ? Prisma.sql`"seq" > ${afterSeq}` : Prisma.sql`"seq" < ${afterSeq}`;
    const found = await this.prisma.$queryRaw<{ id: string; bytes: number }[]>`
      SELECT "id", octet_length("code") + octet_length("outputs"::text) + COALESCE(octet_length("value"::text), 0) AS bytes
        FROM "Execution"
       WHERE "containerId" = ${containerId} AND ${afterSeq === undefined ? Prisma.sql`TRUE` : beyond}
         AND ${responseId === undefined ? Prisma.sql`TRUE` : Prisma.sql`"responseId" = ${responseId}`}
       ORDER BY "seq" ${Prisma.raw(isAscending ? 'ASC' : 'DESC')}
       LIMIT ${limit + 1}`;
    const ids: string[] = [];
    let total = 0;
    for (const { id, bytes } of found.slice(0, limit)) {
      total += Number(bytes);
      if (ids.length > 0 && total > maxBytes) break;
      ids.push(id);
    }
    const rows = await this.prisma.execution.findMany({
      where: { id: { in: ids } },
      orderBy: { seq: order },
    });
    return { rows: rows.map(typed), hasMore: found.length > ids.length };
  }

  /** Executions of one response, oldest first. */
  async ofResponse(responseId: string): Promise<ExecutionRow[]> {
    const rows = await this.prisma.execution.findMany({ where: { responseId }, orderBy: { seq: 'asc' } });
    return rows.map(typed);
  }

  /**
   * Ends executions that nothing runs any more, with a notice that says why: those of an earlier process at
   * boot, and those older than `before` that are not among `running`.
   */
  async failAbandoned(notice: Notice, running: readonly string[], before?: Date): Promise<number> {
    const output = JSON.stringify([{ type: 'notice', ...notice }]);
    return this.prisma.$executeRaw`
      UPDATE "Execution"
         SET "status" = 'failed', "endedAt" = ${NOW}, "outputs" = ("outputs"::jsonb || ${output}::jsonb)::json
       WHERE "status" = ANY (${executionStates.sourcesOf('failed')}::"ExecutionStatus"[]) AND "id" <> ALL (${[...running]})
         AND ${before === undefined ? Prisma.sql`TRUE` : Prisma.sql`"createdAt" < ${at(before)}`}`;
  }
}
