import { Injectable } from '@nestjs/common';
import type { File, Prisma } from '../database/generated/client.js';
import { PrismaService } from '../database/prisma.service.js';
import { NOW } from '../database/sql.js';
import { byProject, numberOf, type Sums } from '../database/usage.js';

/** A file as the rest of the server knows it, whether it is of the Files API or of a container. */
export interface StoredFile {
  readonly id: string;
  readonly filename: string;
  readonly purpose: string;
  readonly bytes: number;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly blobSha256: string;
}

/** A file about to be written; the id is made up already, so that others can name it. */
export interface FileDraft extends StoredFile {
  readonly projectId: string;
}

export interface FileListQuery {
  readonly projectId: string;
  readonly purpose?: string | undefined;
  readonly afterSeq?: bigint | undefined;
  readonly order: 'asc' | 'desc';
  /** Rows fetched; ask for one more than is shown. */
  readonly take: number;
  readonly now: Date;
}

const toStoredFile = (row: File): StoredFile => ({
  id: row.id,
  filename: row.filename,
  purpose: row.purpose,
  bytes: Number(row.bytes),
  createdAt: row.createdAt,
  expiresAt: row.expiresAt,
  blobSha256: row.blobSha256,
});

const notExpired = (now: Date): Prisma.FileWhereInput => ({
  OR: [{ expiresAt: null }, { expiresAt: { gt: now } }],
});

export interface FileUse {
  readonly count: number;
  readonly bytes: number;
}

@Injectable()
export class FileRepository {
  constructor(private readonly prisma: PrismaService) {}

  async insert(draft: FileDraft): Promise<void> {
    await this.prisma.file.create({ data: { ...draft, bytes: BigInt(draft.bytes) } });
  }

  /** Null when it is absent, of another project, or expired at `now`. */
  async find(projectId: string, id: string, now: Date): Promise<StoredFile | null> {
    const row = await this.prisma.file.findFirst({ where: { id, projectId, ...notExpired(now) } });
    return row && toStoredFile(row);
  }

  /** Position of a cursor in lists; an expired file still marks its place until it is swept. */
  async seqOf(projectId: string, id: string): Promise<bigint | null> {
    const row = await this.prisma.file.findFirst({ where: { id, projectId }, select: { seq: true } });
    return row?.seq ?? null;
  }

  async list(query: FileListQuery): Promise<StoredFile[]> {
    const seq = query.order === 'asc' ? { gt: query.afterSeq } : { lt: query.afterSeq };
    const rows = await this.prisma.file.findMany({
      where: {
        projectId: query.projectId,
        ...(query.purpose === undefined ? {} : { purpose: query.purpose }),
        ...(query.afterSeq === undefined ? {} : { seq }),
        ...notExpired(query.now),
      },
      orderBy: { seq: query.order },
      take: query.take,
    });
    return rows.map(toStoredFile);
  }

  /** False when there was nothing to delete at `now`. */
  async remove(projectId: string, id: string, now: Date): Promise<boolean> {
    const { count } = await this.prisma.file.deleteMany({ where: { id, projectId, ...notExpired(now) } });
    return count === 1;
  }

  /** Deletes what expired; returns how many. */
  async removeExpired(now: Date): Promise<number> {
    const { count } = await this.prisma.file.deleteMany({ where: { expiresAt: { lte: now } } });
    return count;
  }

  /** Of a project. */
  count(projectId: string): Promise<number> {
    return this.prisma.file.count({ where: { projectId } });
  }

  async use(projectIds: readonly string[]): Promise<ReadonlyMap<string, FileUse>> {
    const rows = await this.prisma.$queryRaw<Sums[]>`
      SELECT "projectId", count(*) AS count, sum("bytes")::bigint AS bytes FROM "File"
       WHERE "projectId" = ANY(${[...projectIds]}::text[])
         AND ("expiresAt" IS NULL OR "expiresAt" > ${NOW})
       GROUP BY "projectId"`;
    return byProject(rows, (row) => ({ count: numberOf(row, 'count'), bytes: numberOf(row, 'bytes') }));
  }
}
