/** What becomes of a body that nobody wants. */
import type { IncomingMessage } from 'node:http';

export interface DiscardLimits {
  /** Bytes that are read and dropped, so that a client that sends first and reads then gets its answer. */
  readonly maxBytes: number;
  /** Milliseconds this may take; absent while something else watches the connection. */
  readonly maxMs?: number;
}

/**
 * Reads what is still coming and drops it. A body that is over leaves the connection usable; one without
 * end costs the client its connection, and `onCut` is told.
 */
export function discardRest(raw: IncomingMessage, limits: DiscardLimits, onCut?: () => void): void {
  let seen = 0;
  const cut = () => {
    onCut?.();
    raw.destroy();
  };
  const timer = limits.maxMs === undefined ? undefined : setTimeout(cut, limits.maxMs).unref();
  const done = () => clearTimeout(timer);
  raw.unpipe();
  raw.on('error', () => undefined);
  raw.once('end', done).once('close', done);
  raw.on('data', (chunk: Buffer) => {
    seen += chunk.length;
    if (seen > limits.maxBytes && !raw.destroyed) cut();
  });
  raw.resume();
}
