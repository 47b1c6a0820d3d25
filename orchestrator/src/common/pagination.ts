/** Cursor lists as the official clients read them (docs/contract/errors-and-headers.md). */
import { z } from 'zod';
import { integer, queryText } from './wire-schema.js';

export interface Page<T> {
  readonly object: 'list';
  readonly data: readonly T[];
  readonly first_id: string | null;
  readonly last_id: string | null;
  readonly has_more: boolean;
}

export interface PageQuery {
  readonly after?: string | undefined;
  readonly limit: number;
  readonly order: 'asc' | 'desc';
}

/** Query of a list endpoint; unknown keys are ignored (docs/contract/errors-and-headers.md). */
export const pageQuery = (limits: { max: number; default: number } = { max: 100, default: 20 }) =>
  z.object({
    after: queryText().optional().meta({ description: 'Id after which the page begins, exclusive.' }),
    limit: integer({ min: 1, max: limits.max })
      .optional()
      .transform((value) => value ?? limits.default)
      .meta({ description: `Entries a page, 1 to ${limits.max}; ${limits.default} if not given.` }),
    order: z
      .enum(['asc', 'desc'])
      .optional()
      .transform((value) => value ?? ('desc' as const))
      .meta({ description: 'By creation time; newest first if not given.' }),
  });

/** A page of these, for the OpenAPI document. */
export const pageOf = <T extends z.ZodType>(entry: T) =>
  z.object({
    object: z.literal('list'),
    data: z.array(entry),
    first_id: z.string().nullable(),
    last_id: z.string().nullable(),
    has_more: z.boolean(),
  });

/** Wraps `limit + 1` rows fetched by a repository into a page of `limit`. */
export function toPage<Row extends { id: string }, Wire>(
  rows: readonly Row[],
  limit: number,
  present: (row: Row) => Wire,
): Page<Wire> {
  const shown = rows.slice(0, limit);
  return {
    object: 'list',
    data: shown.map(present),
    first_id: shown[0]?.id ?? null,
    last_id: shown.at(-1)?.id ?? null,
    has_more: rows.length > limit,
  };
}
