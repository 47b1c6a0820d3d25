import { createHash } from 'node:crypto';
import { KeyedMutex } from '../common/mutex.js';
import type { Prisma, PrismaClient } from './generated/client.js';

/**
 * A name as the 64-bit key of a PostgreSQL advisory lock. Two names share a key once in 2^64, which
 * costs waiting, never correctness.
 */
export function lockKey(...parts: readonly string[]): bigint {
  return createHash('sha256').update(JSON.stringify(parts)).digest().readBigInt64BE(0);
}

/**
 * Waits for a lock that the transaction holds until it ends. Called by repositories that must do one
 * thing at a time per project or session key: `await lockInTransaction(tx, 'session', projectId, key)`.
 */
export async function lockInTransaction(
  tx: Prisma.TransactionClient,
  ...parts: readonly string[]
): Promise<void> {
  await tx.$executeRaw`SELECT pg_advisory_xact_lock(${lockKey(...parts)}::bigint)`;
}

const own = new KeyedMutex();

/**
 * A transaction under a lock that many requests may want at once. Those of this process wait in line before
 * they take a connection, so a crowd at one lock holds one connection, not all of the pool, and everybody
 * else's queries go on.
 */
export function lockedTransaction<T>(
  prisma: PrismaClient,
  parts: readonly string[],
  work: (tx: Prisma.TransactionClient) => Promise<T>,
  options: { readonly maxWait?: number; readonly timeout?: number } = {},
): Promise<T> {
  return own.run(JSON.stringify(parts), () =>
    prisma.$transaction(async (tx) => {
      await lockInTransaction(tx, ...parts);
      return work(tx);
    }, options),
  );
}
