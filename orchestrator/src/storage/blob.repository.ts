import { Injectable } from '@nestjs/common';
import { Prisma } from '../database/generated/client.js';
import { PrismaService } from '../database/prisma.service.js';
import { NOW } from '../database/sql.js';
import type { BlobInfo } from './blob.store.js';

const BATCH = 500;
/** Milliseconds: many uploads may end at the same time and wait for a connection. */
const TRANSACTION = { maxWait: 60_000, timeout: 60_000 };
const WALKED_AT = 'blobs-walked-at';

/** Nothing points at it. New relations of Blob belong here; until then their foreign key protects it. */
const UNUSED = {
  files: { none: {} },
  uploadParts: { none: {} },
  containerFiles: { none: {} },
  inlineContents: { none: {} },
} as const;

/** A note that content may have lost its last reference. */
export interface FreedEntry {
  readonly key: bigint;
  readonly sha256: string;
}

/**
 * Rows of content. That a row and its content appear and vanish together is the business of
 * `BlobGuard`, which lets one piece of work at a time touch a piece of content.
 */
@Injectable()
export class BlobRepository {
  constructor(private readonly prisma: PrismaService) {}

  /** Which of these have rows. */
  async known(sha256s: readonly string[]): Promise<ReadonlySet<string>> {
    const rows = await this.prisma.blob.findMany({
      where: { sha256: { in: [...sha256s] } },
      select: { sha256: true },
    });
    return new Set(rows.map((row) => row.sha256));
  }

  /** Writes rows for content that is stored. Those that nothing refers to in `graceMs` are looked at then. */
  async insert(blobs: readonly BlobInfo[], graceMs: number): Promise<void> {
    const hashes = blobs.map((blob) => blob.sha256);
    const sizes = blobs.map((blob) => BigInt(blob.bytes));
    await this.prisma.$executeRaw`
      WITH fresh AS (
        INSERT INTO "Blob" ("sha256", "bytes", "createdAt")
        SELECT "sha256", "bytes", ${NOW} FROM unnest(${hashes}::text[], ${sizes}::bigint[]) AS new("sha256", "bytes")
        ON CONFLICT DO NOTHING RETURNING "sha256"
      ) INSERT INTO "FreedBlob" ("sha256", "dueAt") SELECT "sha256", ${NOW} + make_interval(secs => ${graceMs / 1000}::double precision) FROM fresh`;
  }

  /** Notes content as freed by hand: what was written for a request that then failed. */
  async free(sha256s: readonly string[]): Promise<void> {
    // A column holds whole milliseconds, rounded: what is due now must not be due in half of one.
    await this.prisma.$executeRaw`
      INSERT INTO "FreedBlob" ("sha256", "dueAt") SELECT "sha256", ${NOW} FROM unnest(${[...sha256s]}::text[]) AS new("sha256")`;
  }

  /** Notes that are due and come after `key`, oldest first, a few hundred at most. */
  async due(key: bigint): Promise<FreedEntry[]> {
    return this.prisma.$queryRaw`
      SELECT "key", "sha256" FROM "FreedBlob" WHERE "key" > ${key} AND "dueAt" <= ${NOW} + interval '1 millisecond'
       ORDER BY "key" LIMIT ${BATCH}`;
  }

  async settle(keys: readonly bigint[]): Promise<void> {
    await this.prisma.freedBlob.deleteMany({ where: { key: { in: [...keys] } } });
  }

  /**
   * Removes the rows among these that nothing refers to. A row that somebody is about to refer to is
   * left alone, and `busy` says so. Never waits for anybody.
   */
  async removeUnused(
    sha256s: readonly string[],
  ): Promise<{ readonly removed: readonly string[]; readonly busy: ReadonlySet<string> }> {
    return this.prisma.$transaction(async (tx) => {
      const hashes = [...sha256s];
      const locked = await tx.$queryRaw<{ sha256: string }[]>`
        SELECT "sha256" FROM "Blob" WHERE "sha256" = ANY(${hashes}::text[]) FOR UPDATE SKIP LOCKED`;
      // A statement of its own: it sees the references that were written before the rows were locked.
      const mine = locked.map((row) => row.sha256);
      const removed = await tx.$queryRaw<{ sha256: string }[]>`
        DELETE FROM "Blob" b WHERE b."sha256" = ANY(${mine}::text[])
           AND NOT EXISTS (SELECT FROM "File" f WHERE f."blobSha256" = b."sha256")
           AND NOT EXISTS (SELECT FROM "UploadPart" p WHERE p."blobSha256" = b."sha256")
           AND NOT EXISTS (SELECT FROM "ContainerFile" c WHERE c."blobSha256" = b."sha256")
           AND NOT EXISTS (SELECT FROM "InlineContent" i WHERE i."blobSha256" = b."sha256")
        RETURNING b."sha256"`;
      const left = new Set(mine);
      const rows = await tx.blob.findMany({ where: { sha256: { in: hashes } }, select: { sha256: true } });
      const busy = new Set(rows.map((row) => row.sha256).filter((sha256) => !left.has(sha256)));
      return { removed: removed.map((row) => row.sha256), busy };
    }, TRANSACTION);
  }

  /** Hashes of rows older than `before` that nothing points at, in batches. Looks at every row. */
  async *unused(before: Date): AsyncIterable<readonly string[]> {
    let after = '';
    for (;;) {
      const rows = await this.prisma.blob.findMany({
        where: { sha256: { gt: after }, createdAt: { lt: before }, ...UNUSED },
        orderBy: { sha256: 'asc' },
        select: { sha256: true },
        take: BATCH,
      });
      if (rows.length > 0) yield rows.map((row) => row.sha256);
      if (rows.length < BATCH) return;
      after = rows.at(-1)!.sha256;
    }
  }

  /** When all content was last walked through; null when it never was. */
  async walkedAt(): Promise<Date | null> {
    const row = await this.prisma.setting.findUnique({ where: { key: WALKED_AT } });
    return row && new Date(row.value);
  }

  async setWalkedAt(at: Date): Promise<void> {
    const value = at.toISOString();
    await this.prisma.setting.upsert({
      where: { key: WALKED_AT },
      create: { key: WALKED_AT, value },
      update: { value },
    });
  }
}

const FOREIGN_KEY_VIOLATION = 'P2003';

/** Whether a row could not be written because the content it names went meanwhile. */
export const isContentGone = (error: unknown): boolean =>
  error instanceof Prisma.PrismaClientKnownRequestError &&
  error.code === FOREIGN_KEY_VIOLATION &&
  JSON.stringify(error.meta ?? {}).includes('blobSha256');
