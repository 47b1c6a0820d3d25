/**
 * What an error of PostgreSQL, of its driver or of Prisma means to the caller, as a table. By shape alone, so
 * that this leaf need not know any of them. SQLSTATEs and Prisma's codes are five characters each.
 */
import { ApiError, type ErrorCode } from './api-error.js';

const AWAY = 'service_unavailable' satisfies ErrorCode;
const FULL = 'storage_full' satisfies ErrorCode;

const CODES: Readonly<Record<string, typeof AWAY | typeof FULL>> = {
  '53100': FULL, // disk full
  '53000': AWAY, // insufficient resources
  '53200': AWAY, // out of memory
  '53300': AWAY, // too many connections
  '57014': AWAY, // statement took too long
  '55P03': AWAY, // waited too long for a lock
  '25P03': AWAY, // transaction was left idle for too long
  '25P04': AWAY, // transaction took too long
  '40001': AWAY, // could not be serialised
  '40P01': AWAY, // deadlock
  '57P01': AWAY, // ended by an administrator
  '57P02': AWAY, // ended by a crash
  '57P03': AWAY, // starting, or stopping
  '57P05': AWAY, // idle for too long
  '08000': AWAY, // connection failures
  '08001': AWAY,
  '08003': AWAY,
  '08004': AWAY,
  '08006': AWAY,
  P1001: AWAY, // cannot be reached
  P1002: AWAY, // does not answer in time
  P1008: AWAY, // operation timed out
  P1017: AWAY, // connection was closed
  P2024: AWAY, // no connection was free in time
  P2028: AWAY, // transaction did not begin, or end, in time
  P2034: AWAY, // conflict or deadlock
  P2037: AWAY, // too many connections
};

/** Kinds of Prisma's driver adapter that carry no SQLSTATE. */
const KINDS: ReadonlySet<string> = new Set([
  'DatabaseNotReachable',
  'ConnectionClosed',
  'SocketTimeout',
  'TlsConnectionError',
  'TooManyConnections',
  'TransactionWriteConflict',
]);

/** What node-postgres says about a connection that is gone, without any code. */
const MESSAGES: ReadonlySet<string> = new Set([
  'Connection terminated',
  'Connection terminated unexpectedly',
  'Connection terminated due to connection timeout',
  'Client has encountered a connection error and is not queryable',
  'timeout exceeded when trying to connect',
  'Query read timeout',
]);

const SENTENCES = {
  [AWAY]: 'The database of this server cannot be reached at the moment. Please retry in a few seconds.',
  [FULL]:
    'The disk of the database is full. Nothing was stored; the operator of this server must make room before it can be retried.',
} as const;

/** Seconds: about as long as PostgreSQL takes to start again. */
const RETRY_AFTER = '5';

interface Shape {
  readonly name?: unknown;
  readonly code?: unknown;
  readonly kind?: unknown;
  readonly originalCode?: unknown;
  readonly message?: unknown;
  readonly cause?: unknown;
  readonly meta?: { readonly driverAdapterError?: unknown };
}

const codeOf = (value: unknown) => (typeof value === 'string' ? CODES[value] : undefined);

function meaningOf(error: unknown, depth = 0): typeof AWAY | typeof FULL | undefined {
  if (typeof error !== 'object' || error === null || depth > 4) return undefined;
  const { code, kind, originalCode, message, cause, meta } = error as Shape;
  // The innermost knows best: Prisma calls a full disk a failed query.
  const inner = meaningOf(meta?.driverAdapterError, depth + 1) ?? meaningOf(cause, depth + 1);
  const own = inner ?? codeOf(originalCode) ?? codeOf(code);
  if (own) return own;
  if (typeof kind === 'string' && KINDS.has(kind)) return AWAY;
  return typeof message === 'string' && MESSAGES.has(message) ? AWAY : undefined;
}

/** Undefined for an error that has nothing to do with the database's health. */
export function databaseError(error: unknown): ApiError | undefined {
  const code = meaningOf(error);
  if (code === undefined) return undefined;
  const headers: Record<string, string> = code === AWAY ? { 'retry-after': RETRY_AFTER } : {};
  return new ApiError(code, SENTENCES[code], { cause: error, headers });
}

/** Whether the database is away or full: what failed for that is worth another try. */
export const isDatabaseOutage = (error: unknown): boolean =>
  !(error instanceof ApiError) && meaningOf(error) !== undefined;
