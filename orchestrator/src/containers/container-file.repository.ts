import { Injectable } from '@nestjs/common';
import { type ContainerFile, Prisma } from '../database/generated/client.js';
import { lockedTransaction } from '../database/advisory-lock.js';
import { PrismaService } from '../database/prisma.service.js';
import { NOW } from '../database/sql.js';
import type { FileEntry } from '../sandboxes/sandbox.driver.js';

export type ContainerFileRow = ContainerFile;

/** What a sandbox said of a file; a later look that says the same has not seen another content. */
export interface Seen {
  readonly mtimeMs: bigint;
  readonly stamp: string | null;
}

export const seen = ({ modifiedAtMs, stamp }: FileEntry): Seen => ({
  mtimeMs: BigInt(Math.floor(modifiedAtMs)),
  stamp: stamp ?? null,
});

const UNSEEN = { mtimeMs: null, stamp: null };

/** What is known of a file's content at one moment. */
export interface FileState {
  readonly containerId: string;
  readonly projectId: string;
  readonly path: string;
  readonly bytes: bigint;
  readonly blobSha256: string;
  /** Absent: it is not in the sandbox. */
  readonly seen?: Seen | undefined;
}

export interface NewContainerFile extends FileState {
  readonly id: string;
  readonly source: 'user' | 'assistant';
  readonly fileId?: string | undefined;
}

/** The container that files are written for, as whoever writes knows it. */
export interface ImportTarget {
  readonly id: string;
  readonly projectId: string;
  /** Of its sandbox; when the container has had another one since, nothing is written. */
  readonly generation: number;
}

const made = (projectId: string) => ({
  projectId,
  source: 'assistant' as const,
  deletedAt: null,
  container: { status: { not: 'deleted' as const } },
});

const columns = ({ seen: there, fileId, ...file }: NewContainerFile) => ({
  ...file,
  ...(there ?? UNSEEN),
  fileId: fileId ?? null,
});

@Injectable()
export class ContainerFileRepository {
  constructor(private readonly prisma: PrismaService) {}

  /** One per path: a path that is known keeps its id and its source, and is undeleted. */
  async upsert(file: NewContainerFile): Promise<ContainerFileRow> {
    const { containerId, path, bytes, blobSha256 } = file;
    return this.prisma.containerFile.upsert({
      where: { containerId_path: { containerId, path } },
      create: columns(file),
      update: { bytes, blobSha256, ...(file.seen ?? UNSEEN), deletedAt: null },
    });
  }

  /**
   * The same for many files of one container, in one statement. Returns the rows it wrote: none when the
   * container was deleted or has had another sandbox since, for then the files are not its own any more. What
   * is written where a file was removed is no copy of that file's origin.
   */
  async upsertMany(target: ImportTarget, files: readonly NewContainerFile[]): Promise<ContainerFileRow[]> {
    if (files.length === 0) return [];
    const values = files.map(
      (file) =>
        Prisma.sql`(${file.id}, ${file.path}, ${file.bytes}::bigint, ${file.blobSha256}, ${file.source}::"FileSource", ${file.seen?.mtimeMs ?? null}::bigint, ${file.seen?.stamp ?? null})`,
    );
    return this.prisma.$queryRaw<ContainerFileRow[]>`
      WITH owner AS (
        SELECT "id", "projectId" FROM "Container"
         WHERE "id" = ${target.id} AND "generation" = ${target.generation} AND "status" <> 'deleted'
           FOR SHARE
      )
      INSERT INTO "ContainerFile"
             ("id", "containerId", "projectId", "path", "bytes", "blobSha256", "source", "mtimeMs", "stamp", "updatedAt")
      SELECT file."id", owner."id", owner."projectId", file."path", file."bytes", file."blobSha256",
             file."source", file."mtimeMs", file."stamp", ${NOW}
        FROM owner, (VALUES ${Prisma.join(values)})
             AS file ("id", "path", "bytes", "blobSha256", "source", "mtimeMs", "stamp")
      ON CONFLICT ("containerId", "path") DO UPDATE
         SET "bytes" = EXCLUDED."bytes", "blobSha256" = EXCLUDED."blobSha256", "mtimeMs" = EXCLUDED."mtimeMs",
             "stamp" = EXCLUDED."stamp",
             "fileId" = CASE WHEN "ContainerFile"."deletedAt" IS NULL THEN "ContainerFile"."fileId" END,
             "deletedAt" = NULL, "updatedAt" = EXCLUDED."updatedAt"
      RETURNING *`;
  }

  /**
   * Inserts, or null when the path is taken by a file that still exists. A copy of the same Files API object
   * that is there already comes back instead.
   */
  async insertAtFreePath(file: NewContainerFile): Promise<ContainerFileRow | null> {
    return lockedTransaction(this.prisma, ['files', file.containerId], async (tx) => {
      const copy =
        file.fileId === undefined ? null : await this.findCopyOf(file.containerId, file.fileId, tx);
      if (copy) return copy;
      const taken = await tx.containerFile.findUnique({
        where: { containerId_path: { containerId: file.containerId, path: file.path } },
      });
      if (taken && taken.deletedAt === null) return null;
      const data = columns(file);
      if (!taken) return tx.containerFile.create({ data });
      const { id: _, ...again } = data;
      return tx.containerFile.update({ where: { id: taken.id }, data: { ...again, deletedAt: null } });
    });
  }

  /** The id that a path has kept of its deleted file. */
  async idOfDeleted(containerId: string, path: string): Promise<string | undefined> {
    const row = await this.prisma.containerFile.findUnique({
      where: { containerId_path: { containerId, path } },
      select: { id: true, deletedAt: true },
    });
    return row?.deletedAt ? row.id : undefined;
  }

  /** These files are in the sandbox now, as it says. */
  async setSeen(files: readonly { readonly id: string; readonly seen: Seen }[]): Promise<void> {
    if (files.length === 0) return;
    const values = files.map(({ id, seen: { mtimeMs, stamp } }) => {
      return Prisma.sql`(${id}, ${mtimeMs}::bigint, ${stamp})`;
    });
    await this.prisma.$executeRaw`
      UPDATE "ContainerFile" SET "mtimeMs" = seen."mtimeMs", "stamp" = seen."stamp"
        FROM (VALUES ${Prisma.join(values)}) AS seen ("id", "mtimeMs", "stamp")
       WHERE "ContainerFile"."id" = seen."id"`;
  }

  async find(containerId: string, id: string): Promise<ContainerFileRow | null> {
    return this.prisma.containerFile.findFirst({ where: { id, containerId, deletedAt: null } });
  }

  /** By its id alone, also after its container expired. */
  async findInProject(projectId: string, id: string): Promise<ContainerFileRow | null> {
    return this.prisma.containerFile.findFirst({
      where: { id, projectId, deletedAt: null, container: { status: { not: 'deleted' } } },
    });
  }

  /** Files that code made, of all containers of a project that were not deleted. */
  async listMade(query: {
    projectId: string;
    afterSeq?: bigint | undefined;
    order: 'asc' | 'desc';
    take: number;
  }): Promise<ContainerFileRow[]> {
    const seq = query.order === 'asc' ? { gt: query.afterSeq } : { lt: query.afterSeq };
    return this.prisma.containerFile.findMany({
      where: { ...made(query.projectId), ...(query.afterSeq === undefined ? {} : { seq }) },
      orderBy: { seq: query.order },
      take: query.take,
    });
  }

  /** Position of such a file; one that was deleted since still marks its place. */
  async seqOfMade(projectId: string, id: string): Promise<bigint | null> {
    const row = await this.prisma.containerFile.findFirst({
      where: { id, projectId, source: 'assistant' },
      select: { seq: true },
    });
    return row?.seq ?? null;
  }

  async findCopyOf(
    containerId: string,
    fileId: string,
    tx: Prisma.TransactionClient = this.prisma,
  ): Promise<ContainerFileRow | null> {
    return tx.containerFile.findFirst({ where: { containerId, fileId, deletedAt: null } });
  }

  async all(containerId: string): Promise<ContainerFileRow[]> {
    return this.prisma.containerFile.findMany({
      where: { containerId, deletedAt: null },
      orderBy: { seq: 'asc' },
    });
  }

  /** Removed while the sandbox that has them could not be told, or not by the container's user but by code in it. */
  async deletedAndSeen(containerId: string): Promise<ContainerFileRow[]> {
    return this.prisma.containerFile.findMany({
      where: { containerId, deletedAt: { not: null }, stamp: { not: null } },
    });
  }

  /** Those that are still there, oldest first. */
  async byIds(ids: readonly string[]): Promise<ContainerFileRow[]> {
    return this.prisma.containerFile.findMany({
      where: { id: { in: [...ids] }, deletedAt: null },
      orderBy: { seq: 'asc' },
    });
  }

  async byPaths(containerId: string, paths: readonly string[]): Promise<ContainerFileRow[]> {
    return this.prisma.containerFile.findMany({ where: { containerId, path: { in: [...paths] } } });
  }

  async totals(containerId: string): Promise<{ bytes: bigint; count: number }> {
    const result = await this.prisma.containerFile.aggregate({
      where: { containerId, deletedAt: null },
      _sum: { bytes: true },
      _count: true,
    });
    return { bytes: result._sum.bytes ?? 0n, count: result._count };
  }

  async list(query: {
    containerId: string;
    afterSeq?: bigint | undefined;
    limit: number;
    order: 'asc' | 'desc';
  }): Promise<ContainerFileRow[]> {
    return this.prisma.containerFile.findMany({
      where: {
        containerId: query.containerId,
        deletedAt: null,
        ...(query.afterSeq === undefined
          ? {}
          : { seq: query.order === 'asc' ? { gt: query.afterSeq } : { lt: query.afterSeq } }),
      },
      orderBy: { seq: query.order },
      take: query.limit,
    });
  }

  /** They are copies of nothing any more, so that the same object can be copied in again. */
  async markDeleted(containerId: string, ids: readonly string[]): Promise<number> {
    const { count } = await this.prisma.containerFile.updateMany({
      where: { containerId, id: { in: [...ids] }, deletedAt: null },
      data: { deletedAt: new Date(), fileId: null },
    });
    return count;
  }
}
