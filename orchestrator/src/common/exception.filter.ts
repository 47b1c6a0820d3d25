/** The one place where an exception becomes a reply; every failure has OpenAI's envelope. */
import {
  type ArgumentsHost,
  Catch,
  type ExceptionFilter,
  HttpException,
  Logger,
  NotFoundException,
} from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiError, type ErrorCode } from './api-error.js';
import { discardRest } from './discard.js';
import { databaseError } from './database-errors.js';

/** Fastify's and its plug-ins' own error codes (body parser, multipart). */
const FASTIFY_CODES: Readonly<Record<string, { code: ErrorCode; message: string }>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: {
    code: 'invalid_json',
    message: 'We could not parse the JSON body of your request. The body must be a JSON object.',
  },
  FST_ERR_CTP_EMPTY_JSON_BODY: {
    code: 'invalid_json',
    message: 'We could not parse the JSON body of your request: it is empty.',
  },
  FST_ERR_CTP_BODY_TOO_LARGE: {
    code: 'request_too_large',
    message:
      'The request body is larger than this server accepts. Upload large content through /v1/files or /v1/uploads and refer to it by id.',
  },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    code: 'unsupported_media_type',
    message:
      'Unsupported content type. Send application/json, or multipart/form-data where a file is uploaded.',
  },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    code: 'invalid_request',
    message: 'The request body does not have the length its Content-Length header says.',
  },
  FST_REQ_FILE_TOO_LARGE: {
    code: 'file_too_large',
    message: 'The uploaded file is larger than this server accepts.',
  },
  FST_INVALID_MULTIPART_CONTENT_TYPE: {
    code: 'unsupported_media_type',
    message: 'This endpoint expects multipart/form-data.',
  },
};

const STATUS_CODES: Readonly<Record<number, ErrorCode>> = {
  400: 'invalid_request',
  401: 'invalid_api_key',
  403: 'permission_denied',
  404: 'not_found',
  405: 'method_not_allowed',
  413: 'request_too_large',
  415: 'unsupported_media_type',
  429: 'rate_limit_exceeded',
};

/** Any thrown thing → ApiError; what is not known becomes a 500 that reveals nothing. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const { code, statusCode } = (error ?? {}) as { code?: string; statusCode?: number };
  const known = code === undefined ? undefined : FASTIFY_CODES[code];
  if (known) return new ApiError(known.code, known.message, { cause: error });
  if (error instanceof SyntaxError && statusCode === 400) {
    return new ApiError('invalid_json', FASTIFY_CODES['FST_ERR_CTP_INVALID_JSON_BODY']!.message, {
      cause: error,
    });
  }
  const status = error instanceof HttpException ? error.getStatus() : statusCode;
  const mapped = status === undefined ? undefined : STATUS_CODES[status];
  if (mapped) return new ApiError(mapped, (error as Error).message, { cause: error });
  const outage = databaseError(error);
  if (outage) return outage;
  return new ApiError(
    'server_error',
    'The server had an error while processing your request. Please retry, and give the request id if it happens again.',
    { cause: error },
  );
}

/** Of a refused body: the rest of the largest sensible upload, and no longer than anybody waits. */
const REFUSED_BODY = { maxBytes: 1024 ** 3, maxMs: 300_000 };

/**
 * The framework would cut the connection, and a client that is still sending would see only that.
 * Left open, the rest of the body is read and dropped behind the answer, and the connection stays usable.
 */
function letClientFinish(request: FastifyRequest, reply: FastifyReply): void {
  if (!request.raw.complete && !request.raw.destroyed) discardRest(request.raw, REFUSED_BODY);
  void reply.removeHeader('connection');
}

@Catch()
export class ApiExceptionFilter implements ExceptionFilter {
  private readonly logger = new Logger(ApiExceptionFilter.name);

  /** `missing` answers for requests that no route takes; the framework reports them as NotFoundException. */
  constructor(private readonly missing: (method: string, path: string) => ApiError) {}

  catch(exception: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const reply = http.getResponse<FastifyReply>();
    const error =
      exception instanceof NotFoundException
        ? this.missing(request.method, request.url.split('?')[0]!)
        : toApiError(exception);
    if (error.family === 'bug') {
      this.logger.error({ err: error.cause ?? error, requestId: request.id }, 'request failed');
    }
    if (error.code === 'service_unavailable') {
      this.logger.warn({ err: error.cause ?? error, requestId: request.id }, 'the database did not answer');
    }
    if (reply.sent || reply.raw.headersSent) {
      reply.raw.destroy();
      return;
    }
    letClientFinish(request, reply);
    void reply
      .status(error.status)
      .headers({ ...error.headers })
      .type('application/json; charset=utf-8')
      .send(error.toEnvelope());
  }
}
