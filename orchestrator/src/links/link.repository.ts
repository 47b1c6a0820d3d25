import { Injectable } from '@nestjs/common';
import type { FileLink } from '../database/generated/client.js';
import { PrismaService } from '../database/prisma.service.js';
import { NOW } from '../database/sql.js';

export type LinkRow = FileLink;

export interface NewLink {
  readonly id: string;
  readonly projectId: string;
  readonly fileId: string;
  readonly tokenHash: string;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

/** Where a link leads. */
export interface LinkTarget {
  readonly id: string;
  readonly projectId: string;
  readonly fileId: string;
  readonly isExpired: boolean;
}

export interface LinkListQuery {
  readonly projectId: string;
  readonly fileId: string;
  /** Exclusive. */
  readonly afterSeq?: bigint | undefined;
  readonly order: 'asc' | 'desc';
  /** Rows fetched; ask for one more than is shown. */
  readonly take: number;
  readonly now: Date;
}

@Injectable()
export class LinkRepository {
  constructor(private readonly prisma: PrismaService) {}

  /** Whether the operator lets files of the project be opened by links. */
  async isAllowed(projectId: string): Promise<boolean> {
    const row = await this.prisma.project.findUnique({
      where: { id: projectId },
      select: { allowsLinks: true },
    });
    return row?.allowsLinks === true;
  }

  insert(link: NewLink): Promise<LinkRow> {
    return this.prisma.fileLink.create({ data: link });
  }

  /** Links of a file that work at `now`. */
  countLive(projectId: string, fileId: string, now: Date): Promise<number> {
    return this.prisma.fileLink.count({ where: { projectId, fileId, expiresAt: { gt: now } } });
  }

  list(query: LinkListQuery): Promise<LinkRow[]> {
    const seq = query.order === 'asc' ? { gt: query.afterSeq } : { lt: query.afterSeq };
    return this.prisma.fileLink.findMany({
      where: {
        projectId: query.projectId,
        fileId: query.fileId,
        expiresAt: { gt: query.now },
        ...(query.afterSeq === undefined ? {} : { seq }),
      },
      orderBy: { seq: query.order },
      take: query.take,
    });
  }

  /** Position of a cursor in lists. */
  async seqOf(projectId: string, fileId: string, id: string): Promise<bigint | null> {
    const row = await this.prisma.fileLink.findFirst({
      where: { id, projectId, fileId },
      select: { seq: true },
    });
    return row?.seq ?? null;
  }

  /** False when there is no such link. */
  async remove(projectId: string, fileId: string, id: string): Promise<boolean> {
    const { count } = await this.prisma.fileLink.deleteMany({ where: { id, projectId, fileId } });
    return count === 1;
  }

  /** Null for tokens that never were, links that were revoked, and projects that allow none at the moment. */
  async find(tokenHash: string): Promise<LinkTarget | null> {
    const [row] = await this.prisma.$queryRaw<LinkTarget[]>`
      SELECT l."id", l."projectId", l."fileId", l."expiresAt" <= ${NOW} AS "isExpired"
        FROM "FileLink" l JOIN "Project" p ON p."id" = l."projectId"
       WHERE l."tokenHash" = ${tokenHash}
         AND p."allowsLinks" AND p."status" = 'active' AND p."deletedAt" IS NULL`;
    return row ?? null;
  }

  /** Adds one download; false when the link was revoked meanwhile. */
  async count(id: string): Promise<boolean> {
    const count = await this.prisma.$executeRaw`
      UPDATE "FileLink" SET "downloads" = "downloads" + 1, "lastDownloadedAt" = ${NOW} WHERE "id" = ${id}`;
    return count === 1;
  }

  /** Deletes at most `take` that expired before `before`; returns how many. */
  removeExpired(before: Date, take: number): Promise<number> {
    return this.prisma.$executeRaw`
      DELETE FROM "FileLink" WHERE "id" IN (
        SELECT "id" FROM "FileLink" WHERE "expiresAt" < ${before} ORDER BY "expiresAt" LIMIT ${take})`;
  }
}
