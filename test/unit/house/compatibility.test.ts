import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ENDPOINTS } from '../../../orchestrator/src/cli/compatibility-endpoints.js';
import { compatibilityPage } from '../../../orchestrator/src/cli/compatibility-page.js';
import { REQUEST } from '../../../orchestrator/src/cli/compatibility-tables.js';
import {
  createResponseSchema,
  parseCreateResponse,
} from '../../../orchestrator/src/responses/response.schema.js';

const ROOT = resolve(import.meta.dirname, '../../..');
/** Ours; told in docs/api/extensions.md. */
const EXTENSIONS = /\/(executions|expire$|links|environment|webhook)/;

describe('docs/compatibility.md', () => {
  it('names every endpoint that the server has', () => {
    const { paths } = JSON.parse(readFileSync(join(ROOT, 'docs/api/openapi.json'), 'utf8')) as {
      paths: Record<string, Record<string, unknown>>;
    };
    const served = Object.entries(paths).flatMap(([path, methods]) =>
      path.startsWith('/v1/') && !EXTENSIONS.test(path)
        ? Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.slice(3)}`)
        : [],
    );
    expect(Object.keys(ENDPOINTS).toSorted()).toEqual(served.toSorted());
  });

  it('names every field of a request', () => {
    expect(Object.keys(REQUEST).toSorted()).toEqual(Object.keys(createResponseSchema.shape).toSorted());
    for (const field of Object.keys(REQUEST)) expect(compatibilityPage()).toContain(`| \`${field}\` | `);
  });

  const refused = Object.entries(REQUEST).flatMap(([field, [support]]) =>
    support === 'refused' ? [field] : [],
  );
  const wrong = { prompt: { id: 'pmpt_1' } } as Readonly<Record<string, unknown>>;

  it.each(refused)('%s is refused, and null is not', (field) => {
    const body = { model: 'python', input: 'x' };
    expect(() => parseCreateResponse({ ...body, [field]: wrong[field] ?? [{}] })).toThrowError(
      expect.objectContaining({ param: field }),
    );
    expect(parseCreateResponse({ ...body, [field]: null })).toMatchObject(body);
  });
});
