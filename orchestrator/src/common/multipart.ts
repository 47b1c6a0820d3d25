/**
 * Reads `multipart/form-data` as the official clients send it: parts in any order,
 * nested names, one file streamed to its place while it arrives. Needs `@fastify/multipart`,
 * registered with `MULTIPART_PLUGIN_OPTIONS`.
 */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { Multipart, MultipartFile, MultipartValue } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { ApiError } from './api-error.js';
import { bodyHash, setBodyDigest } from './body-digest.js';
import { discardRest } from './discard.js';
import { safeFileName } from './file-name.js';
import { addField, type FormFields } from './multipart-fields.js';

const MAX_FIELDS = 32;
const MAX_FIELD_BYTES = 64 * 1024;
const MAX_NAME_LENGTH = 128;
/** Room for boundaries, part headers and text beside the file, when judging by Content-Length. */
const FORM_ALLOWANCE_BYTES = 3 * 1024 * 1024;
/** Of a refused body; the rest of the largest sensible upload. */
const MAX_DISCARDED_BYTES = 1024 ** 3;

/**
 * For `app.register(multipart, …)`. The file's size is limited where it is stored, with an answer
 * that names the limit; `parts` bounds what the parser does for one request.
 */
export const MULTIPART_PLUGIN_OPTIONS = {
  preservePath: false,
  limits: {
    fileSize: Number.POSITIVE_INFINITY,
    fields: MAX_FIELDS,
    fieldSize: MAX_FIELD_BYTES,
    parts: MAX_FIELDS + 2,
    headerPairs: 32,
  },
} as const;

export interface FilePart {
  /** Made safe; `file` when the client gave none. */
  readonly fileName: string;
  /** As the client said it; often `application/octet-stream`. */
  readonly mimeType: string;
}

/** What every store knows of the content it took. */
interface Content {
  readonly sha256: string;
}

export interface MultipartOptions<Stored extends Content> {
  /** Name of the file part, such as `file` or `data`. */
  readonly fileField: string;
  /** Largest file, in bytes. A longer Content-Length is refused before anything is read. */
  readonly maxFileBytes: number;
  /**
   * Takes the content to its end, or fails; called at most once. It enforces `maxFileBytes` itself
   * by throwing `file_too_large`. When a later part is wrong, what it stored is simply not used.
   */
  readonly store: (content: Readable, part: FilePart) => Promise<Stored>;
}

export type StoredPart<Stored extends Content> = FilePart & { readonly stored: Stored };

export interface MultipartForm<Stored extends Content> {
  readonly fields: FormFields;
  readonly file: StoredPart<Stored> | null;
}

/** `readMultipart` for bodies that must have the file; 400 when it is not there. */
export async function readFileUpload<Stored extends Content>(
  request: FastifyRequest,
  options: MultipartOptions<Stored>,
): Promise<{ fields: FormFields; file: StoredPart<Stored> }> {
  const { fields, file } = await readMultipart(request, options);
  if (file) return { fields, file };
  const param = options.fileField;
  throw new ApiError('missing_required_parameter', `Missing required parameter: '${param}'.`, { param });
}

/**
 * Called by handlers whose body may have a file. Every failure of the body is an `ApiError`;
 * failures of `store` pass through. The connection stays usable: the rest of a refused body is read
 * and dropped.
 */
export async function readMultipart<Stored extends Content>(
  request: FastifyRequest,
  options: MultipartOptions<Stored>,
): Promise<MultipartForm<Stored>> {
  try {
    if (!request.isMultipart()) {
      throw new ApiError('unsupported_media_type', 'This endpoint expects multipart/form-data.');
    }
    refuseByLength(request, options);
    return await readParts(request, options);
  } catch (error) {
    discardRest(request.raw, { maxBytes: MAX_DISCARDED_BYTES });
    throw error;
  }
}

function refuseByLength(request: FastifyRequest, options: MultipartOptions<Content>): void {
  const announced = Number(request.headers['content-length'] ?? 0);
  if (announced <= options.maxFileBytes + FORM_ALLOWANCE_BYTES) return;
  throw new ApiError(
    'file_too_large',
    `The file is larger than the ${options.maxFileBytes} bytes this server accepts here.`,
    { param: options.fileField },
  );
}

async function readParts<Stored extends Content>(
  request: FastifyRequest,
  options: MultipartOptions<Stored>,
): Promise<MultipartForm<Stored>> {
  const fields: FormFields = {};
  let file: StoredPart<Stored> | null = null;
  const said: Said[] = [];
  const parts = request.parts();
  for (let part = await nextPart(parts); part !== null; part = await nextPart(parts)) {
    const name = checkedName(part.fieldname);
    if (part.type === 'field') {
      if (name === options.fileField) throw notAFile(name);
      const value = fieldValue(name, part);
      said.push([name, value]);
      addField(fields, name, value);
    } else {
      if (name !== options.fileField) throw unexpectedFile(name, options.fileField);
      if (file) throw duplicateFile(name);
      file = await storePart(part, name, options);
      said.push([name, file.stored.sha256, file.fileName]);
    }
  }
  digest(request, said);
  return { fields, file };
}

/** One part of a body, as it is known again: a field, or a file. */
type Said = readonly [name: string, value: unknown] | readonly [name: string, sha256: string, file: string];

/** Clients choose another boundary for each try, so the bytes of the body are no help. */
function digest(request: FastifyRequest, said: readonly Said[]): void {
  const inOrder = said.toSorted(([a], [b]) => (a < b ? -1 : Number(a > b)));
  setBodyDigest(request, bodyHash(request)?.update(JSON.stringify(inOrder)));
}

/** Reads a body only to know whether it is the same as an earlier one; nothing of it is stored. */
export async function digestMultipart(request: FastifyRequest): Promise<void> {
  const said: Said[] = [];
  const parts = request.parts();
  for (let part = await nextPart(parts); part !== null; part = await nextPart(parts)) {
    const name = checkedName(part.fieldname);
    if (part.type === 'field') said.push([name, fieldValue(name, part)]);
    else {
      const hash = createHash('sha256');
      try {
        for await (const chunk of part.file) hash.update(chunk as Buffer);
      } catch (error) {
        throw brokenBody(error);
      }
      said.push([name, hash.digest('hex'), safeFileName(part.filename)]);
    }
  }
  digest(request, said);
}

/** The next part, null at the end; the parser's complaints become answers for the caller. */
async function nextPart(parts: AsyncIterator<Multipart>): Promise<Multipart | null> {
  try {
    const { value, done } = await parts.next();
    return done ? null : value;
  } catch (error) {
    throw brokenBody(error);
  }
}

async function storePart<Stored extends Content>(
  part: MultipartFile,
  name: string,
  options: MultipartOptions<Stored>,
): Promise<StoredPart<Stored>> {
  const info: FilePart = { fileName: safeFileName(part.filename), mimeType: part.mimetype };
  // A store that gives up makes the stream fail as well; only a failure it passes on is the body's.
  // The body may have ended too early before anybody listened.
  let broken: unknown = part.file.errored ?? undefined;
  part.file.once('error', (error) => (broken = error));
  try {
    return { ...info, stored: await options.store(part.file, info) };
  } catch (error) {
    part.file.destroy();
    // The parser fails the stream twice when the body ends too early; a late reader sees the second.
    if (broken !== undefined && (error === broken || error === part.file.errored)) throw brokenBody(error);
    const isTooLarge = error instanceof ApiError && error.code === 'file_too_large';
    throw isTooLarge ? new ApiError(error.code, error.message, { param: name, cause: error }) : error;
  }
}

/** JSON parts arrive parsed; text parts as text. */
function fieldValue(name: string, part: MultipartValue): unknown {
  if (!part.valueTruncated) return part.value;
  throw new ApiError(
    'string_above_max_length',
    `Invalid '${name}': string too long. Expected at most ${MAX_FIELD_BYTES} bytes.`,
    { param: name },
  );
}

/** The parser leaves the name out when the part has none. */
function checkedName(name: string | undefined): string {
  if (name !== undefined && name !== '' && name.length <= MAX_NAME_LENGTH) return name;
  throw new ApiError(
    'invalid_upload',
    `Every part of a multipart body needs a name of at most ${MAX_NAME_LENGTH} characters.`,
  );
}

const notAFile = (name: string): ApiError =>
  new ApiError(
    'invalid_type',
    `Invalid type for '${name}': expected a file, but got a string instead. Send the part with a filename.`,
    { param: name },
  );

const duplicateFile = (name: string): ApiError =>
  new ApiError('invalid_value', `Duplicate parameter: '${name}'. Send one file per request.`, {
    param: name,
  });

const unexpectedFile = (name: string, wanted: string): ApiError =>
  new ApiError('unknown_parameter', `Unknown parameter: '${name}'. Send the file as '${wanted}'.`, {
    param: name,
  });

const PARSER_ERRORS: Readonly<Record<string, string>> = {
  FST_PARTS_LIMIT: `The multipart body has too many parts; at most ${MAX_FIELDS} fields and one file are read.`,
  FST_FIELDS_LIMIT: `The multipart body has too many fields; at most ${MAX_FIELDS} are read.`,
  FST_PROTO_VIOLATION: 'The multipart body has a part whose name is not allowed.',
  FST_INVALID_JSON_FIELD_ERROR: 'A part of the multipart body says it is JSON, but it cannot be parsed.',
  FST_MP_PREMATURE_CLOSE: 'The request ended before the multipart body was complete.',
};

function brokenBody(error: unknown): ApiError {
  const { code } = (error ?? {}) as { code?: string };
  const known = code === undefined ? undefined : PARSER_ERRORS[code];
  const text =
    known ?? 'We could not parse the multipart body of your request: it is malformed or ends too early.';
  return new ApiError('invalid_upload', text, { cause: error });
}
