import { Injectable } from '@nestjs/common';
import { PrismaService } from '../database/prisma.service.js';
import { LIVE_CONTAINER } from '../database/sql.js';

export interface ContainerCounts {
  /** Running at this moment, whatever the sweep has written down. */
  readonly live: number;
  /** Of these, how many a sandbox serves. */
  readonly bound: number;
}

@Injectable()
export class MetricsRepository {
  constructor(private readonly prisma: PrismaService) {}

  async containers(): Promise<ContainerCounts> {
    const [row] = await this.prisma.$queryRaw<{ live: bigint; bound: bigint }[]>`
      SELECT count(*) AS live, count("sandboxId") AS bound FROM "Container" WHERE ${LIVE_CONTAINER}`;
    return { live: Number(row?.live ?? 0n), bound: Number(row?.bound ?? 0n) };
  }
}
