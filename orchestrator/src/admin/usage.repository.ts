/** What projects use and used, summed up by PostgreSQL. Every query answers for several projects at once. */
import { Injectable } from '@nestjs/common';
import { Prisma } from '../database/generated/client.js';
import { PrismaService } from '../database/prisma.service.js';
import { at, LIVE_CONTAINER, NOW } from '../database/sql.js';

/** From `from` on, and before `to`; absent means without a bound. */
export interface Period {
  readonly from?: Date | undefined;
  readonly to?: Date | undefined;
}

export interface ContainerUse {
  readonly running: number;
  readonly memoryBytes: number;
}

export interface FileUse {
  readonly count: number;
  readonly bytes: number;
}

export interface ExecutionUse {
  readonly count: number;
  readonly durationMs: number;
}

export interface ResponseUse {
  readonly count: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

type Sums = { readonly projectId: string } & Readonly<Record<string, bigint | string | null>>;
type ByProject<T> = ReadonlyMap<string, T>;

/** SQL that limits "createdAt" to the period. */
function within({ from, to }: Period): Prisma.Sql {
  const parts = [Prisma.sql`TRUE`];
  if (from) parts.push(Prisma.sql`"createdAt" >= ${at(from)}`);
  if (to) parts.push(Prisma.sql`"createdAt" < ${at(to)}`);
  return Prisma.join(parts, ' AND ');
}

function byProject<T>(rows: readonly Sums[], toUse: (row: Sums) => T): ByProject<T> {
  return new Map(rows.map((row) => [row.projectId, toUse(row)]));
}

const number = (row: Sums, column: string): number => Number(row[column] ?? 0);

@Injectable()
export class UsageRepository {
  constructor(private readonly prisma: PrismaService) {}

  /** Containers that run at this moment, and the memory they are counted with. */
  async containers(ids: readonly string[]): Promise<ByProject<ContainerUse>> {
    const rows = await this.prisma.$queryRaw<Sums[]>`
      SELECT "projectId", count(*) AS count, coalesce(sum("memoryBytes") FILTER (WHERE NOT "aside"), 0)::bigint AS bytes FROM "Container"
       WHERE "projectId" = ANY(${[...ids]}::text[]) AND ${LIVE_CONTAINER}
       GROUP BY "projectId"`;
    return byProject(rows, (row) => ({ running: number(row, 'count'), memoryBytes: number(row, 'bytes') }));
  }

  /** Files of the Files API. */
  async files(ids: readonly string[]): Promise<ByProject<FileUse>> {
    const rows = await this.prisma.$queryRaw<Sums[]>`
      SELECT "projectId", count(*) AS count, sum("bytes")::bigint AS bytes FROM "File"
       WHERE "projectId" = ANY(${[...ids]}::text[])
         AND ("expiresAt" IS NULL OR "expiresAt" > ${NOW})
       GROUP BY "projectId"`;
    return byProject(rows, (row) => ({ count: number(row, 'count'), bytes: number(row, 'bytes') }));
  }

  /** Files of containers that were not deleted. */
  async containerFiles(ids: readonly string[]): Promise<ByProject<FileUse>> {
    const rows = await this.prisma.$queryRaw<Sums[]>`
      SELECT f."projectId", count(*) AS count, sum(f."bytes")::bigint AS bytes
        FROM "ContainerFile" f JOIN "Container" c ON c."id" = f."containerId"
       WHERE f."projectId" = ANY(${[...ids]}::text[]) AND f."deletedAt" IS NULL AND c."status" <> 'deleted'
       GROUP BY f."projectId"`;
    return byProject(rows, (row) => ({ count: number(row, 'count'), bytes: number(row, 'bytes') }));
  }

  async executions(ids: readonly string[], period: Period): Promise<ByProject<ExecutionUse>> {
    const rows = await this.prisma.$queryRaw<Sums[]>`
      SELECT "projectId", count(*) AS count, sum("durationMs")::bigint AS ms FROM "Execution"
       WHERE "projectId" = ANY(${[...ids]}::text[]) AND ${within(period)}
       GROUP BY "projectId"`;
    return byProject(rows, (row) => ({ count: number(row, 'count'), durationMs: number(row, 'ms') }));
  }

  /** Stored responses, deleted ones too as long as their row is there. */
  async responses(ids: readonly string[], period: Period): Promise<ByProject<ResponseUse>> {
    const rows = await this.prisma.$queryRaw<Sums[]>`
      SELECT "projectId", count(*) AS count,
             sum(("body"->'usage'->>'input_tokens')::numeric)::bigint AS input,
             sum(("body"->'usage'->>'output_tokens')::numeric)::bigint AS output
        FROM "Response" WHERE "projectId" = ANY(${[...ids]}::text[]) AND ${within(period)}
       GROUP BY "projectId"`;
    return byProject(rows, (row) => ({
      count: number(row, 'count'),
      inputTokens: number(row, 'input'),
      outputTokens: number(row, 'output'),
    }));
  }
}
