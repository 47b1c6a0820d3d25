import { createHash } from 'node:crypto';
import type { Prisma } from './generated/client.js';

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
