/** Failures that no route sees, because the request is no request: they too get our envelope. */
import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiError } from '../common/api-error.js';
import { newId } from '../common/ids.js';

const TYPE = 'application/json; charset=utf-8';

const headersOf = (id: string) => ({
  'x-request-id': id,
  'openai-version': '2020-10-01',
  'content-type': TYPE,
});

/** What the parser of HTTP could not make anything of. */
function parserError({ code }: { readonly code?: string }): ApiError {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new ApiError('request_timeout', 'The head of the request did not arrive in time.');
    case 'HPE_HEADER_OVERFLOW':
      return new ApiError('headers_too_large', 'The URL and headers of the request are too large.');
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new ApiError('request_too_large', 'The chunks of the request body have too many extensions.');
    default:
      return new ApiError('invalid_request', 'The request is not valid HTTP/1.1.');
  }
}

/** A reply written by hand: Node has given up on the connection. */
function rawReply(error: ApiError): string {
  const body = JSON.stringify(error.toEnvelope());
  const headers = {
    ...headersOf(newId.request()),
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}\r\n${lines.join('\r\n')}\r\n\r\n${body}`;
}

/** Fastify's `clientErrorHandler`. A reply that has begun cannot be replaced. */
export function onClientError(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const { _httpMessage: reply } = socket as unknown as { readonly _httpMessage?: ServerResponse | null };
  if (socket.writable && !reply?.headersSent) socket.write(rawReply(parserError(error)));
  socket.destroy(error);
}

/** Fastify's `frameworkErrors`: paths that its router cannot read. */
export function onFrameworkError(
  fault: Error & { readonly code?: string },
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const error =
    fault.code === 'FST_ERR_MAX_PARAM_LENGTH'
      ? new ApiError('uri_too_long', 'A part of the URL is longer than any id.')
      : new ApiError('invalid_request', 'The URL has a part that is not valid percent-encoding.');
  void reply.status(error.status).headers(headersOf(request.id)).send(error.toEnvelope());
}

const waiting = new WeakSet<IncomingMessage>();

/** `Expect: 100-continue` is answered when the body is wanted (`sayContinue`); any other expectation gets 417. */
export function watchExpectations(server: Server): void {
  server.on('checkContinue', (request: IncomingMessage, reply: ServerResponse) => {
    waiting.add(request);
    server.emit('request', request, reply);
  });
  server.on('checkExpectation', (_request: IncomingMessage, reply: ServerResponse) => {
    const error = new ApiError(
      'expectation_failed',
      "The only expectation this server meets is '100-continue'.",
    );
    const body = JSON.stringify(error.toEnvelope());
    reply.writeHead(error.status, {
      ...headersOf(newId.request()),
      'content-length': Buffer.byteLength(body),
      connection: 'close',
    });
    reply.end(body);
  });
}

/** Called when a body is about to be read. */
export function sayContinue(request: IncomingMessage, reply: ServerResponse): void {
  if (waiting.delete(request)) reply.writeContinue();
}
