import { Injectable } from '@nestjs/common';
import { PrismaService } from '../database/prisma.service.js';

export interface StorageAccount {
  /** Own quota of the project in bytes; null for the server's default, 0 for none. */
  readonly quotaBytes: number | null;
  readonly usedBytes: number;
}

/** Entries of one project above which reading its sum folds them. */
const FOLD_ABOVE = 500;

/**
 * What projects store. Triggers add an entry for every statement that changes it, in that statement's
 * transaction; so a sum over entries is exact at any moment, no row is contended for, and nothing needs
 * to look at all files.
 */
@Injectable()
export class StorageAccountRepository {
  constructor(private readonly prisma: PrismaService) {}

  /** Zero and no quota of its own for a project that is not there. */
  async read(projectId: string): Promise<StorageAccount> {
    const [row] = await this.prisma.$queryRaw<{ quota: bigint | null; used: bigint; entries: bigint }[]>`
      SELECT (SELECT "storageQuotaBytes" FROM "Project" WHERE "id" = ${projectId}) AS quota,
             coalesce(sum("bytes"), 0)::bigint AS used, count(*) AS entries
        FROM "StorageEntry" WHERE "projectId" = ${projectId}`;
    if (row && row.entries > FOLD_ABOVE) await this.fold(projectId);
    return {
      quotaBytes: row?.quota === null || row === undefined ? null : Number(row.quota),
      usedBytes: Math.max(0, Number(row?.used ?? 0n)),
    };
  }

  /** Bytes by project; those that store nothing are missing. */
  async usedBy(projectIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const rows = await this.prisma.storageEntry.groupBy({
      by: ['projectId'],
      where: { projectId: { in: [...projectIds] } },
      _sum: { bytes: true },
    });
    return new Map(rows.map((row) => [row.projectId, Number(row._sum.bytes ?? 0n)]));
  }

  /** Makes one entry of all entries of a project. Safe beside itself and beside writers. */
  async fold(projectId: string): Promise<void> {
    await this.prisma.$executeRaw`
      WITH gone AS (DELETE FROM "StorageEntry" WHERE "projectId" = ${projectId} RETURNING "bytes")
      INSERT INTO "StorageEntry" ("projectId", "bytes")
      SELECT ${projectId}, total FROM (SELECT sum("bytes") AS total FROM gone) AS folded WHERE total <> 0`;
  }

  /** Folds every project that has more than one entry, and drops the entries of projects that are gone. */
  async foldAll(): Promise<void> {
    const rows = await this.prisma.$queryRaw<{ projectId: string }[]>`
      SELECT "projectId" FROM "StorageEntry" GROUP BY "projectId" HAVING count(*) > 1`;
    for (const { projectId } of rows) await this.fold(projectId);
    await this.prisma.$executeRaw`
      DELETE FROM "StorageEntry" e WHERE NOT EXISTS (SELECT FROM "Project" p WHERE p."id" = e."projectId")`;
  }

  /**
   * Compares the entries with the rows they stand for and writes the difference down; returns the
   * projects that had one. Looks at all rows in one snapshot, so writers beside it do no harm.
   */
  async reconcile(): Promise<readonly string[]> {
    const rows = await this.prisma.$queryRaw<{ projectId: string }[]>`
      WITH stored AS (
        SELECT "projectId", sum("bytes") AS bytes FROM (
          SELECT "projectId", "bytes" FROM "File"
          UNION ALL SELECT "projectId", "bytes" FROM "UploadPart"
          UNION ALL SELECT "projectId", "bytes" FROM "InlineContent"
          UNION ALL SELECT "projectId", "bytes" FROM "ContainerFile" WHERE "deletedAt" IS NULL
        ) AS each GROUP BY "projectId"
      ), recorded AS (SELECT "projectId", sum("bytes") AS bytes FROM "StorageEntry" GROUP BY "projectId")
      INSERT INTO "StorageEntry" ("projectId", "bytes")
      SELECT "projectId", coalesce(stored.bytes, 0) - coalesce(recorded.bytes, 0)
        FROM stored FULL JOIN recorded USING ("projectId")
       WHERE coalesce(stored.bytes, 0) <> coalesce(recorded.bytes, 0)
      RETURNING "projectId"`;
    return rows.map((row) => row.projectId);
  }
}
