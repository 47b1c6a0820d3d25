/** Server-sent events as the official clients need them: no ids, no `[DONE]`. */
import type { FastifyReply } from 'fastify';

/** One event in one string, so that it leaves in one write. */
export const formatSse = (event: { readonly type: string }): string =>
  `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;

const KEEP_ALIVE = ': keepalive\n\n';

export interface SseOptions {
  /** Milliseconds without an event after which a comment is sent; proxies and undici cut silent streams. */
  readonly keepAliveMs: number;
}

/**
 * Writes all events and ends the reply. The producer must turn its own failures into events: an
 * exception here can only cut the connection. Waits for the socket when it is full; a reader that takes
 * nothing is cut off by the server's watch over connections, which ends the waiting and, by `return()`, the
 * producer. Whether the connection stays open afterwards is up to what the client asked for.
 */
export async function sendSse(
  reply: FastifyReply,
  events: AsyncIterable<{ readonly type: string }>,
  options: SseOptions,
): Promise<void> {
  const raw = reply.raw;
  reply.hijack();
  raw.writeHead(200, {
    ...(reply.getHeaders() as Record<string, string>),
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    'openai-processing-ms': String(Math.round(reply.elapsedTime)),
    'x-accel-buffering': 'no',
  });
  // They leave with the first event if that is there, in one piece; else by themselves.
  setImmediate(() => raw.flushHeaders());
  const gone = new Promise<void>((resolve) => void raw.once('close', resolve));
  const idle = setInterval(() => {
    if (!raw.writableNeedDrain) raw.write(KEEP_ALIVE);
  }, options.keepAliveMs);
  try {
    for await (const event of events) {
      if (raw.destroyed) break;
      idle.refresh();
      if (!raw.write(formatSse(event))) {
        await Promise.race([new Promise<void>((resolve) => void raw.once('drain', resolve)), gone]);
        // The events may be a long time coming, and nobody listens any more.
        if (raw.destroyed) break;
      }
    }
    raw.end();
  } catch (error) {
    raw.destroy();
    throw error;
  } finally {
    clearInterval(idle);
  }
}
