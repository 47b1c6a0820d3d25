import type { Prisma } from './generated/client.js';

/** What our own code has built as plain JSON, for a JSON column: Prisma's type is narrower than it needs to be. */
export const toJson = (value: unknown): Prisma.InputJsonValue => value as Prisma.InputJsonValue;
