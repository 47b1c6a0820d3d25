import type { Logger } from '@nestjs/common';

const QUIET_MS = 10_000;

/**
 * An error listener that writes a message at most once in ten seconds: while the database restarts,
 * every worker repeats itself several times a second.
 */
export function logSeldom(
  logger: Pick<Logger, 'warn'>,
  what: string,
  now = Date.now,
): (error: Error) => void {
  let last: { readonly message: string; readonly atMs: number } | undefined;
  return (error) => {
    const atMs = now();
    if (last && last.message === error.message && atMs - last.atMs < QUIET_MS) return;
    last = { message: error.message, atMs };
    logger.warn(`${what}: ${error.message}`);
  };
}
