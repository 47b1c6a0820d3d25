import type { FastifyReply, FastifyRequest } from 'fastify';

/** Aborts when the client closes the connection before the reply has ended (docs/contract/streaming.md). */
export function abortOnClose(_request: FastifyRequest, reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableEnded) controller.abort(new Error('the client closed the connection'));
  });
  return controller.signal;
}
