/** For queries that sum up what projects use. Each answers for several projects at once. */
import type { Period } from '../common/period.js';
import { Prisma } from './generated/client.js';
import { at } from './sql.js';

export type Sums = { readonly projectId: string } & Readonly<Record<string, bigint | string | null>>;
export type ByProject<T> = ReadonlyMap<string, T>;

/** SQL that limits "createdAt" to the period. */
export function within({ from, to }: Period): Prisma.Sql {
  const parts = [Prisma.sql`TRUE`];
  if (from) parts.push(Prisma.sql`"createdAt" >= ${at(from)}`);
  if (to) parts.push(Prisma.sql`"createdAt" < ${at(to)}`);
  return Prisma.join(parts, ' AND ');
}

export function byProject<T>(rows: readonly Sums[], toUse: (row: Sums) => T): ByProject<T> {
  return new Map(rows.map((row) => [row.projectId, toUse(row)]));
}

export const numberOf = (row: Sums, column: string): number => Number(row[column] ?? 0);
