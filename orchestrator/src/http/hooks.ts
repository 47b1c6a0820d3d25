/** What happens to every request before and after its handler, in the order it is written here. */
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Door } from '../auth/door.js';
import { ApiError } from '../common/api-error.js';
import { discardRest } from '../common/discard.js';
import type { ConnectionWatch } from './connection-watch.js';
import type { RouteTable } from './method-not-allowed.js';
import { sayContinue } from './protocol-errors.js';

/** Of a body that is refused on its headers: enough for clients that send first and read then. */
const REFUSED_BODY = { maxBytes: 1024 * 1024, maxMs: 5_000 };
/** Milliseconds in which a JSON body must be complete; uploads may take as long as they come. */
const JSON_BODY_MS = 300_000;

export interface HookParts {
  readonly watch: ConnectionWatch;
  readonly routes: RouteTable;
  /** There when the first request comes. */
  readonly door: () => Door;
}

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

const pathOf = (request: FastifyRequest): string => request.url.split('?')[0]!;

function addHeaders(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', (request, reply, done) => {
    void reply.header('x-request-id', request.id);
    void reply.header('openai-version', '2020-10-01');
    done();
  });
  fastify.addHook('onSend', (_request, reply, _payload, done) => {
    void reply.header('openai-processing-ms', String(Math.round(reply.elapsedTime)));
    done();
  });
}

/** Paths that nobody serves. No id has a NUL character, and PostgreSQL refuses to look for one. */
function assertServed(request: FastifyRequest, routes: RouteTable): void {
  const path = pathOf(request);
  if (request.raw.httpVersion === '1.1' && request.headers.host === undefined)
    throw new ApiError('invalid_request', 'A request of HTTP/1.1 needs a Host header.');
  if (request.is404) throw routes.missing(request.method, path);
  if (path.includes('%00')) throw new ApiError('not_found', `Invalid URL (${request.method} ${path})`);
}

/** Answers with an error in the middle of a body, and closes; false when the reply has begun. */
function refuseBody(request: FastifyRequest, reply: FastifyReply, error: ApiError): boolean {
  if (reply.sent || reply.raw.headersSent) return false;
  void reply
    .status(error.status)
    .headers({ ...error.headers, connection: 'close' })
    .type('application/json; charset=utf-8')
    .send(error.toEnvelope());
  // Node forgets a request whose reply is complete; whoever still reads it must learn that no more comes.
  request.raw.socket.once('close', () => request.raw.destroy());
  return true;
}

/** Keys, rates and drain are asked for on the headers; only then a body is waited for. */
function addDoor(fastify: FastifyInstance, { watch, routes, door }: HookParts): void {
  fastify.addHook('onRequest', async (request, reply) => {
    const { raw } = request;
    try {
      assertServed(request, routes);
      await door().admit(request, reply);
    } catch (error) {
      if (hasBody(raw)) discardRest(raw, REFUSED_BODY, () => watch.count('refused'));
      throw error;
    }
    if (!hasBody(raw)) return;
    const longestMs = raw.headers['content-type']?.includes('json') ? JSON_BODY_MS : undefined;
    watch.expectBody(raw, (error) => refuseBody(request, reply, error), longestMs);
  });
  fastify.addHook('preParsing', (request, reply, _payload, done) => {
    sayContinue(request.raw, reply.raw);
    done();
  });
}

/** Fastify would read a stream to its end to answer HEAD. */
function spareHead(fastify: FastifyInstance): void {
  fastify.addHook('onSend', (request, _reply, payload, done) => {
    const isStream = payload instanceof Readable;
    if (request.method !== 'HEAD' || (payload !== null && !isStream)) {
      done();
      return;
    }
    if (isStream) payload.destroy();
    done(null, Readable.from([]));
  });
}

/** The framework's own errors, such as 503 while it closes, have its own shape. */
function reshapeErrors(fastify: FastifyInstance): void {
  fastify.addHook('onSend', (_request, reply, payload, done) => {
    const isForeign =
      reply.statusCode >= 400 && typeof payload === 'string' && payload.startsWith('{"error":"');
    if (!isForeign) {
      done();
      return;
    }
    const { message } = JSON.parse(payload) as { readonly message?: string };
    const error = new ApiError(
      reply.statusCode === 503 ? 'draining' : 'invalid_request',
      message ?? 'Refused.',
    );
    void reply.type('application/json; charset=utf-8').removeHeader('content-length');
    done(null, JSON.stringify(error.toEnvelope()));
  });
}

/** Called once, before the routes are there. */
export function addHooks(fastify: FastifyInstance, parts: HookParts): void {
  addHeaders(fastify);
  addDoor(fastify, parts);
  spareHead(fastify);
  reshapeErrors(fastify);
}
