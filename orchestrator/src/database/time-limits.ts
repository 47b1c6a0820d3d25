/**
 * Milliseconds after which PostgreSQL gives up on its own, so that a disk that hangs or a lock that is never
 * released becomes an error instead of a request without end. A pooler refuses these in its handshake, so
 * behind one they are set on the role or in the pooler. Migrations have none.
 */
export const TIME_LIMITS = {
  statement_timeout: 60_000,
  lock_timeout: 30_000,
  idle_in_transaction_session_timeout: 60_000,
} as const;
