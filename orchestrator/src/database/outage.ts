/** Tells an unreachable database from a wrong statement: the first is worth another try, the second is not. */
import { Prisma } from './generated/client.js';

/** Prisma's own codes: not reachable, timed out, closed by the server, no free connection, too many connections. */
const PRISMA_CODES = new Set(['P1001', 'P1002', 'P1008', 'P1011', 'P1017', 'P2024', 'P2028', 'P2037']);
/** SQLSTATE: connection exceptions, too many connections, shutdown and start-up of the server. */
const SQL_STATES = /^(?:08...|53300|57P0[1-4])$/;
const SYSTEM_CODES = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOENT']);
const KINDS = new Set(['DatabaseNotReachable', 'ConnectionClosed', 'SocketTimeout', 'TooManyConnections']);
const SENTENCES =
  /connection terminated|timeout exceeded when trying to connect|connection timeout|not queryable/i;

interface Traced {
  readonly code?: unknown;
  readonly kind?: unknown;
  readonly originalCode?: unknown;
  readonly cause?: unknown;
  readonly message?: unknown;
  readonly meta?: { readonly driverAdapterError?: unknown };
}

const MAX_DEPTH = 5;

/** Whether PostgreSQL could not be reached, or went away, while this was asked of it. */
export function isDatabaseOutage(error: unknown, depth = 0): boolean {
  if (typeof error !== 'object' || error === null || depth > MAX_DEPTH) return false;
  if (error instanceof Prisma.PrismaClientInitializationError) return true;
  const { code, kind, originalCode, cause, message, meta } = error as Traced;
  if (typeof code === 'string' && (PRISMA_CODES.has(code) || SQL_STATES.test(code) || SYSTEM_CODES.has(code)))
    return true;
  if (typeof originalCode === 'string' && SQL_STATES.test(originalCode)) return true;
  if (typeof kind === 'string' && KINDS.has(kind)) return true;
  if (typeof message === 'string' && SENTENCES.test(message)) return true;
  return isDatabaseOutage(cause, depth + 1) || isDatabaseOutage(meta?.driverAdapterError, depth + 1);
}
