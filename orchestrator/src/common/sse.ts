/** Server-sent events as the official clients need them (contract §3.1): no ids, no `[DONE]`. */
import type { FastifyReply } from 'fastify';

/** One event in one string, so that it leaves in one write. */
export const formatSse = (event: { readonly type: string }): string =>
  `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;

const KEEP_ALIVE = ': keepalive\n\n';

export interface SseOptions {
  /** Milliseconds without an event after which a comment is sent; proxies and undici cut silent streams. */
  readonly keepAliveMs: number;
  /** Called once when the client went away before the end. */
  readonly onClosed?: () => void;
}

/**
 * Writes all events and ends the reply. The producer must turn its own failures into events: an
 * exception here can only cut the connection. Waits for the socket when it is full.
 */
export async function sendSse(
  reply: FastifyReply,
  events: AsyncIterable<{ readonly type: string }>,
  options: SseOptions,
): Promise<void> {
  const raw = reply.raw;
  reply.hijack();
  const headers = { ...reply.getHeaders() } as Record<string, string>;
  raw.writeHead(200, {
    ...headers,
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    connection: 'keep-alive',
    'x-accel-buffering': 'no',
  });
  raw.flushHeaders();
  let finished = false;
  const gone = new Promise<void>((resolve) => {
    raw.once('close', () => {
      if (!finished) options.onClosed?.();
      resolve();
    });
  });
  let idle = setInterval(() => raw.write(KEEP_ALIVE), options.keepAliveMs);
  const touch = () => {
    clearInterval(idle);
    idle = setInterval(() => raw.write(KEEP_ALIVE), options.keepAliveMs);
  };
  try {
    for await (const event of events) {
      if (raw.destroyed) break;
      touch();
      if (!raw.write(formatSse(event))) {
        await Promise.race([new Promise<void>((resolve) => raw.once('drain', resolve)), gone]);
      }
    }
    finished = true;
    raw.end();
  } catch (error) {
    finished = true;
    raw.destroy();
    throw error;
  } finally {
    clearInterval(idle);
  }
}
