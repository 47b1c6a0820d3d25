import { Injectable } from '@nestjs/common';
import type { Period } from '../../common/period.js';
import { PrismaService } from '../../database/prisma.service.js';
import { byProject, numberOf, type Sums, within } from '../../database/usage.js';
import { ResponseUsage, type ResponseUse } from '../response-usage.lookup.js';

@Injectable()
export class StoredResponseUsage extends ResponseUsage {
  constructor(private readonly prisma: PrismaService) {
    super();
  }

  override count(projectId: string): Promise<number> {
    return this.prisma.response.count({ where: { projectId, deletedAt: null } });
  }

  override async use(
    projectIds: readonly string[],
    period: Period,
  ): Promise<ReadonlyMap<string, ResponseUse>> {
    const rows = await this.prisma.$queryRaw<Sums[]>`
      SELECT "projectId", count(*) AS count,
             sum(("body"->'usage'->>'input_tokens')::numeric)::bigint AS input,
             sum(("body"->'usage'->>'output_tokens')::numeric)::bigint AS output
        FROM "Response" WHERE "projectId" = ANY(${[...projectIds]}::text[]) AND ${within(period)}
       GROUP BY "projectId"`;
    return byProject(rows, (row) => ({
      count: numberOf(row, 'count'),
      inputTokens: numberOf(row, 'input'),
      outputTokens: numberOf(row, 'output'),
    }));
  }
}
