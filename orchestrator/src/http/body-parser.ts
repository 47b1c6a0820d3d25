/** JSON bodies as the official clients send them (contract §7.2): empty is fine, NUL characters are not. */
import type { FastifyInstance } from 'fastify';
import { ApiError } from '../common/api-error.js';
import { formatPath } from '../common/schema-error.js';

/** Path of the first string (or key) with a NUL character, which PostgreSQL cannot store. */
export function findNul(value: unknown, path: readonly PropertyKey[] = []): readonly PropertyKey[] | null {
  if (typeof value === 'string') return value.includes('\0') ? path : null;
  if (typeof value !== 'object' || value === null) return null;
  for (const [key, child] of Object.entries(value)) {
    if (key.includes('\0')) return path;
    const found = findNul(child, [...path, Array.isArray(value) ? Number(key) : key]);
    if (found) return found;
  }
  return null;
}

function rejectNul(text: string, value: unknown): void {
  if (!text.includes('\\u0000')) return;
  const path = findNul(value);
  if (!path) return;
  const param = formatPath(path);
  throw new ApiError('invalid_value', `Invalid value for '${param}': text must not contain NUL characters.`, {
    param,
  });
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
      parseJson(request, text, (error: Error | null, value?: unknown) => {
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
          rejectNul(text, value);
          done(null, value);
        } catch (fault) {
          done(fault as Error);
        }
      });
    },
  );
}
