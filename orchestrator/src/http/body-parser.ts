/** JSON bodies as the official clients send them (contract §7.2): empty is fine, text that cannot be stored is not. */
import type { FastifyInstance } from 'fastify';
import { ApiError } from '../common/api-error.js';
import { formatPath } from '../common/schema-error.js';

/** PostgreSQL takes neither NUL characters nor halves of surrogate pairs. */
const isStorable = (text: string): boolean => !text.includes('\0') && text.isWellFormed();

/** What such text looks like in JSON; pairs of surrogates look like this as well. */
const SUSPICIOUS = /\\u(?:0000|d[89a-f])/i;

/** Path of the first string (or of the object with the key) that cannot be stored. */
export function findUnstorable(
  value: unknown,
  path: readonly PropertyKey[] = [],
): readonly PropertyKey[] | null {
  if (typeof value === 'string') return isStorable(value) ? null : path;
  if (typeof value !== 'object' || value === null) return null;
  for (const [key, child] of Object.entries(value)) {
    if (!isStorable(key)) return path;
    const found = findUnstorable(child, [...path, Array.isArray(value) ? Number(key) : key]);
    if (found) return found;
  }
  return null;
}

function rejectUnstorable(text: string, value: unknown): void {
  if (!SUSPICIOUS.test(text)) return;
  const path = findUnstorable(value);
  if (!path) return;
  const param = formatPath(path);
  throw new ApiError(
    'invalid_value',
    `Invalid value for '${param}': text must be valid Unicode without NUL characters.`,
    { param },
  );
}

export function installBodyParser(fastify: FastifyInstance, maxBytes: number): void {
  const parseJson = fastify.getDefaultJsonParser('error', 'ignore');
  fastify.addContentTypeParser<string>(
    ['application/json', 'text/json'],
    { parseAs: 'string', bodyLimit: maxBytes },
    (request, text, done) => {
      if (text.trim() === '') {
        done(null, undefined);
        return;
      }
      void parseJson(request, text, (error: Error | null, value?: unknown) => {
        if (error) {
          done(
            new ApiError(
              'invalid_json',
              'We could not parse the JSON body of your request. The body must be a valid JSON object.',
              { cause: error },
            ),
          );
          return;
        }
        try {
          rejectUnstorable(text, value);
          done(null, value);
        } catch (fault) {
          done(fault as Error);
        }
      });
    },
  );
}
