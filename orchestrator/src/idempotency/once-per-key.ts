import {
  applyDecorators,
  type CallHandler,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
  SetMetadata,
  StreamableFile,
  UseInterceptors,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ApiHeader } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { createHash } from 'node:crypto';
import { from, lastValueFrom, type Observable } from 'rxjs';
import type { RequestWithCaller } from '../auth/caller.js';
import { ApiError } from '../common/api-error.js';
import { bodyDigest, KEY_HEADER } from '../common/body-digest.js';
import { digestMultipart } from '../common/multipart.js';
import { type Done, IdempotencyService, type KeyedRequest } from './idempotency.service.js';
import type { SubjectPrefix } from './subjects.js';

const MAKES = 'makes';
const MAX_KEY_LENGTH = 255;
/** Bytes of the largest reply that is kept. */
const MAX_REPLY_BYTES = 1024 * 1024;
/** How a run ends when its client leaves. */
const CUT_OFF: ReadonlySet<unknown> = new Set(['cancelled', 'interrupted']);

@Injectable()
class OncePerKeyInterceptor implements NestInterceptor {
  constructor(
    private readonly idempotency: IdempotencyService,
    private readonly reflector: Reflector,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const http = context.switchToHttp();
    const request = http.getRequest<RequestWithCaller>();
    const header = request.headers[KEY_HEADER];
    if (header === undefined || !request.caller) return next.handle();
    const key = checkedKey(header);
    const makes = this.reflector.get<SubjectPrefix | null>(MAKES, context.getHandler());
    const keyed = { ...keyedRequest(request, request.caller.projectId, key), makes };
    return from(this.answer(keyed, http.getResponse<FastifyReply>(), next));
  }

  private async answer(request: KeyedRequest, reply: FastifyReply, next: CallHandler): Promise<unknown> {
    const result = await this.idempotency.once(
      request,
      async () => toReply(await lastValueFrom(next.handle(), { defaultValue: undefined })),
      (made) => summary(made, reply, request),
    );
    if ('repeated' in result) {
      void reply.status(result.repeated.status).header('idempotent-replayed', 'true');
      return json(reply, result.repeated.text);
    }
    const { value, text } = result.value;
    return text === null ? value : json(reply, text);
  }
}

/** A reply, as it is sent: made into text once, for the client and for the record. */
interface Made {
  readonly value: unknown;
  /** Null: a stream of events, or content. */
  readonly text: string | null;
}

function toReply(value: unknown): Made {
  const isText = value !== undefined && !(value instanceof StreamableFile);
  return { value, text: isText ? JSON.stringify(value) : null };
}

function json(reply: FastifyReply, text: string): string {
  void reply.type('application/json; charset=utf-8');
  return text;
}

function summary({ value, text }: Made, { raw, statusCode }: FastifyReply, request: KeyedRequest): Done {
  const hasLeft = raw.destroyed && !raw.writableFinished;
  const { id, status } = (value ?? {}) as { readonly id?: string; readonly status?: unknown };
  const done = { status: statusCode, ...(typeof id === 'string' ? { id } : {}) };
  if (value === undefined)
    return { ...done, outcome: 'streamed', reply: null, forget: hasLeft && !request.isBackground };
  const isKept = text !== null && Buffer.byteLength(text) <= MAX_REPLY_BYTES;
  return {
    ...done,
    outcome: isKept ? 'kept' : 'too_large',
    reply: isKept ? text : null,
    forget: hasLeft && CUT_OFF.has(status),
  };
}

function checkedKey(header: string | string[]): string {
  if (typeof header === 'string' && header.length <= MAX_KEY_LENGTH && /^[\x21-\x7e]+$/.test(header))
    return header;
  throw new ApiError(
    'invalid_value',
    `Invalid 'Idempotency-Key': expected 1 to ${MAX_KEY_LENGTH} printable characters of ASCII without spaces.`,
    { param: 'Idempotency-Key' },
  );
}

function keyedRequest(
  request: RequestWithCaller,
  projectId: string,
  key: string,
): Omit<KeyedRequest, 'makes'> {
  const [path, query = ''] = request.url.split('?') as [string, string?];
  const body = (request.body ?? {}) as { readonly stream?: unknown; readonly background?: unknown };
  const isMultipart = request.isMultipart();
  const fingerprintSoFar = () => {
    const digest = bodyDigest(request);
    if (isMultipart && digest === undefined) return null;
    return createHash('sha256')
      .update(JSON.stringify([query, digest ?? '']))
      .digest('hex');
  };
  return {
    projectId,
    key,
    route: `${request.method} ${path}`,
    path,
    params: request.params as Readonly<Record<string, string>>,
    streams: body.stream === true,
    isBackground: body.background === true,
    fingerprintSoFar,
    fingerprint: async () => {
      if (isMultipart && bodyDigest(request) === undefined) await digestMultipart(request);
      return fingerprintSoFar()!;
    },
  };
}

/**
 * Above a handler that makes something: a request with an `Idempotency-Key` is done once (docs/api/extensions.md).
 * `makes`: what the id of the thing begins with; null when it has no id of its own.
 */
export const OncePerKey = (makes: SubjectPrefix | null) =>
  applyDecorators(
    SetMetadata(MAKES, makes),
    UseInterceptors(OncePerKeyInterceptor),
    ApiHeader({
      name: 'Idempotency-Key',
      required: false,
      description: 'A repeat with the same key within a day is not done again; it gets the first reply.',
      schema: { type: 'string', maxLength: MAX_KEY_LENGTH, pattern: '^[!-~]+$' },
    }),
  );
