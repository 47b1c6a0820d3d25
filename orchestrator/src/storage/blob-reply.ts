/** Downloads: the one place that writes the headers of stored content. */
import { Readable } from 'node:stream';
import type { ApiResponseOptions } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiError } from '../common/api-error.js';
import { attachment } from '../common/content-disposition.js';
import { mimeTypeOf } from '../common/mime.js';
import type { ByteRange } from './blob.store.js';
import { parseRange, type RequestedRange } from './byte-range.js';

const BYTES = { schema: { type: 'string', format: 'binary' } } as const;
/** The name of a file tells its type; what no name tells is `application/octet-stream`. */
const CONTENT = { 'application/octet-stream': BYTES, '*/*': BYTES };

/** How a download looks in the OpenAPI document, and a part of one. */
export const BLOB_RESPONSE: ApiResponseOptions = {
  status: 200,
  description: 'The bytes, exactly as they were stored.',
  content: CONTENT,
};
export const BLOB_RANGE_RESPONSE: ApiResponseOptions = {
  status: 206,
  description: 'The range that was asked for.',
  content: CONTENT,
};

export interface Download {
  /** Name the client is to save it under. */
  readonly fileName: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** `If-Range` with another version of the content asks for all of it. */
function rangeOf(request: FastifyRequest, etag: string, bytes: number): RequestedRange {
  const condition = request.headers['if-range'];
  return condition === undefined || condition === etag ? parseRange(request.headers.range, bytes) : null;
}

/**
 * Sends content, or the range that was asked for. Called by controllers with `@Res() reply`; `open`
 * is called once, after the range is known. Content is never shown as a page of this server:
 * attachment, no sniffing, sandboxed; `more` replaces headers for those who send it elsewhere than to a client
 * of the API.
 */
export async function sendBlob(
  request: FastifyRequest,
  reply: FastifyReply,
  download: Download,
  open: (range: ByteRange) => Promise<Readable>,
  more: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { bytes } = download;
  const etag = `"${download.sha256}"`;
  const range = rangeOf(request, etag, bytes);
  if (range === 'unsatisfiable') {
    throw new ApiError('invalid_request', `The requested range lies outside the file's ${bytes} bytes.`, {
      status: 416,
      headers: { 'content-range': `bytes */${bytes}` },
    });
  }
  // A HEAD request is answered without a look at the content; its length is that of a GET all the same.
  const content = request.method === 'HEAD' ? Readable.from([]) : await open(range ?? {});
  if (range) reply.header('content-range', `bytes ${range.start}-${range.end}/${bytes}`);
  await reply
    .status(range ? 206 : 200)
    .headers({
      'content-type': mimeTypeOf(download.fileName),
      'content-length': range ? range.end - range.start + 1 : bytes,
      'content-disposition': attachment(download.fileName),
      'accept-ranges': 'bytes',
      etag,
      'cache-control': 'private, no-cache',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "sandbox; default-src 'none'",
      ...more,
    })
    .send(content);
}
