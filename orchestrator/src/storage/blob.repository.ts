import { Injectable } from '@nestjs/common';
import { lockInTransaction } from '../database/advisory-lock.js';
import { Prisma } from '../database/generated/client.js';
import { PrismaService } from '../database/prisma.service.js';
import type { BlobInfo } from './blob.store.js';

/** Milliseconds: many uploads may end at the same time and wait for a connection. */
const TRANSACTION = { maxWait: 60_000, timeout: 60_000 };
const BATCH = 500;
const FOREIGN_KEY_VIOLATION = 'P2003';

/** Nothing points at it. New relations of Blob belong here; until then their foreign key protects it. */
const UNUSED = { files: { none: {} }, uploadParts: { none: {} }, containerFiles: { none: {} } } as const;

/**
 * Rows of content. Everything that makes a row and its content appear or vanish holds the content's
 * advisory lock, so that an upload and the clean-up of the same bytes cannot meet half-way.
 */
@Injectable()
export class BlobRepository {
  constructor(private readonly prisma: PrismaService) {}

  /** Publishes content and writes its row; a row that is there becomes young again. */
  async register(blob: BlobInfo, publish: () => Promise<void>): Promise<void> {
    await this.locked(blob.sha256, async (tx) => {
      await publish();
      await tx.blob.upsert({
        where: { sha256: blob.sha256 },
        create: { sha256: blob.sha256, bytes: BigInt(blob.bytes), createdAt: new Date() },
        update: { createdAt: new Date() },
      });
    });
  }

  /** Hashes of rows older than `before` that nothing points at, in batches of a few hundred. */
  async *unused(before: Date): AsyncIterable<string> {
    let after = '';
    for (;;) {
      const rows = await this.prisma.blob.findMany({
        where: { sha256: { gt: after }, createdAt: { lt: before }, ...UNUSED },
        orderBy: { sha256: 'asc' },
        select: { sha256: true },
        take: BATCH,
      });
      yield* rows.map((row) => row.sha256);
      if (rows.length < BATCH) return;
      after = rows.at(-1)!.sha256;
    }
  }

  /** Removes the row if it is still old and unused; false when it is not. */
  async forget(sha256: string, before: Date): Promise<boolean> {
    try {
      return await this.locked(sha256, async (tx) => {
        const { count } = await tx.blob.deleteMany({
          where: { sha256, createdAt: { lt: before }, ...UNUSED },
        });
        return count === 1;
      });
    } catch (error) {
      if (error instanceof Prisma.PrismaClientKnownRequestError && error.code === FOREIGN_KEY_VIOLATION)
        return false;
      throw error;
    }
  }

  /** Runs `removeContent` unless there is a row; nobody can write one meanwhile. */
  async ifForgotten(sha256: string, removeContent: () => Promise<void>): Promise<boolean> {
    return this.locked(sha256, async (tx) => {
      const row = await tx.blob.findUnique({ where: { sha256 }, select: { sha256: true } });
      if (row) return false;
      await removeContent();
      return true;
    });
  }

  /** Which of these have rows. */
  async known(sha256s: readonly string[]): Promise<ReadonlySet<string>> {
    const rows = await this.prisma.blob.findMany({
      where: { sha256: { in: [...sha256s] } },
      select: { sha256: true },
    });
    return new Set(rows.map((row) => row.sha256));
  }

  private async locked<T>(sha256: string, work: (tx: Prisma.TransactionClient) => Promise<T>): Promise<T> {
    return this.prisma.$transaction(async (tx) => {
      await lockInTransaction(tx, 'blob', sha256);
      return work(tx);
    }, TRANSACTION);
  }
}
