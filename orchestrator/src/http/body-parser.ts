/** JSON bodies as the official clients send them: empty is fine, what cannot be stored is not. */
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Hash } from 'node:crypto';
import type { RequestWithCaller } from '../auth/caller.js';
import { ApiError } from '../common/api-error.js';
import { bodyHash, setBodyDigest } from '../common/body-digest.js';
import { marksOf, SMALL_BODY_BYTES } from '../common/route-config.js';
import { formatPath } from '../common/schema-error.js';
import { BodyBudget, type Release } from './body-budget.js';
import { type JsonFault, type JsonResult, parseJson } from './json-parse.js';
import { JsonThread } from './json-thread.js';

/** Bodies up to this size are not counted: there cannot be more of them than connections. */
const FREE_BYTES = 64 * 1024;
/** Bodies above this size are parsed in a thread of their own: here they would hold everybody up. */
const THREAD_BYTES = 256 * 1024;

const TOO_LARGE = 'Upload large content through /v1/files or /v1/uploads and refer to it by id.';

const tooLarge = (limit: number): ApiError =>
  new ApiError('request_too_large', `The request body is larger than ${limit} bytes. ${TOO_LARGE}`);

const broken = (): ApiError =>
  new ApiError('invalid_request', 'The request ended before its body was complete.');

function faultError(fault: JsonFault): ApiError {
  switch (fault.kind) {
    case 'depth':
      return new ApiError('invalid_json', `The JSON body is nested more than ${fault.limit} levels deep.`);
    case 'entries':
      return new ApiError(
        'invalid_json',
        `An array or object in the JSON body has more than ${fault.limit} entries.`,
      );
    case 'values':
      return new ApiError('invalid_json', `The JSON body has more than ${fault.limit} values.`);
    case 'text': {
      const param = formatPath(fault.path);
      return new ApiError(
        'invalid_value',
        `Invalid value for '${param}': text must be valid Unicode without NUL characters.`,
        { param },
      );
    }
    case 'malformed':
      return new ApiError(
        'invalid_json',
        'We could not parse the JSON body of your request. The body must be a valid JSON object.',
      );
  }
}

/** Bytes that came in, in one piece of their own, so that they can be handed to another thread. */
class Gathered {
  private bytes: Uint8Array<ArrayBuffer>;
  length = 0;

  constructor(expected: number) {
    this.bytes = new Uint8Array(Buffer.allocUnsafeSlow(expected).buffer as ArrayBuffer);
  }

  add(chunk: Buffer): void {
    const length = this.length + chunk.length;
    if (length > this.bytes.length) {
      const larger = new Uint8Array(
        Buffer.allocUnsafeSlow(Math.max(length, this.bytes.length * 2)).buffer as ArrayBuffer,
      );
      larger.set(this.bytes.subarray(0, this.length));
      this.bytes = larger;
    }
    this.bytes.set(chunk, this.length);
    this.length = length;
  }

  get content(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(0, this.length);
  }
}

interface Reading {
  readonly payload: Readable;
  readonly limit: number;
  /** What Content-Length says; absent for chunked bodies. */
  readonly announced: number | undefined;
  /** Asked once, as soon as the body is known not to be small. */
  readonly reserve: (bytes: number) => Promise<void>;
  /** Fed with the body, where somebody wants to know it again. */
  readonly hash: Hash | undefined;
}

/** Reads to the end; the stream stays open when it throws, so that an answer can be sent. */
async function gather({ payload, limit, announced, reserve, hash }: Reading): Promise<Gathered> {
  if (announced !== undefined && announced > limit) throw tooLarge(limit);
  if (announced !== undefined && announced > FREE_BYTES) await reserve(announced);
  const body = new Gathered(announced ?? FREE_BYTES);
  let reserved = announced !== undefined;
  return new Promise((resolve, reject) => {
    const stop = () => payload.off('data', take).off('end', end).off('close', lost).off('error', lost);
    const fail = (error: Error) => {
      stop();
      reject(error);
    };
    const lost = () => fail(broken());
    const end = () => {
      stop();
      resolve(body);
    };
    const take = (chunk: Buffer) => {
      body.add(chunk);
      hash?.update(chunk);
      if (body.length > limit) fail(tooLarge(limit));
      else if (!reserved && body.length > FREE_BYTES) {
        reserved = true;
        payload.pause();
        reserve(limit).then(() => payload.resume(), fail);
      }
    };
    if (payload.destroyed) lost();
    else payload.on('data', take).on('end', end).on('close', lost).on('error', lost);
  });
}

export interface BodyLimits {
  /** Largest JSON body where files or code may be in it. */
  readonly maxBytes: number;
  /** Of all JSON bodies that are read at the same time. */
  readonly totalBytes: number;
}

export class BodyParser {
  readonly budget: BodyBudget;
  private readonly thread = new JsonThread();

  constructor(private readonly limits: BodyLimits) {
    this.budget = new BodyBudget(Math.max(limits.totalBytes, 2 * limits.maxBytes));
  }

  install(fastify: FastifyInstance): void {
    // Nothing takes plain text, and the framework would gather it without a budget.
    fastify.removeContentTypeParser('text/plain');
    fastify.addContentTypeParser(
      ['application/json', 'text/json'],
      (request: FastifyRequest, payload: IncomingMessage) => this.parse(request, payload),
    );
    fastify.addHook('onClose', () => this.thread.close());
  }

  private async parse(request: FastifyRequest, payload: IncomingMessage): Promise<unknown> {
    const { maxBytes } = this.limits;
    const limit = marksOf(request).largeBody ? maxBytes : Math.min(SMALL_BODY_BYTES, maxBytes);
    const length = request.headers['content-length'];
    const gone = new AbortController();
    const leave = () => gone.abort();
    payload.once('close', leave);
    const hash = bodyHash(request);
    let release: Release | undefined;
    try {
      const body = await gather({
        payload,
        limit,
        announced: length === undefined ? undefined : Number(length),
        reserve: async (bytes) => {
          release = await this.budget.take(keyOf(request), bytes, gone.signal);
        },
        hash,
      });
      setBodyDigest(request, hash);
      const result = await this.read(body.content);
      if (!result.ok) throw faultError(result.fault);
      return result.value;
    } finally {
      payload.off('close', leave);
      release?.();
    }
  }

  private async read(bytes: Uint8Array<ArrayBuffer>): Promise<JsonResult> {
    return bytes.length > THREAD_BYTES ? this.thread.parse(bytes) : parseJson(bytes);
  }
}

/** Administrators share one name; strangers do not get here. */
const keyOf = (request: RequestWithCaller): string => request.caller?.keyId ?? 'admin';
