/**
 * Building blocks of request schemas: what the official clients send (contract §7.2) turned into
 * what services want. `null` equals absence everywhere; floats that are whole numbers are integers;
 * multipart and query numbers arrive as text.
 */
import { z } from 'zod';

/** Absent, null, or T; null becomes undefined. */
export const maybe = <T extends z.ZodType>(schema: T) =>
  schema.nullish().transform((value) => value ?? undefined) as unknown as z.ZodOptional<T>;

/** Text of a query parameter; an empty value (`after=`) counts as absent. */
export const queryText = () =>
  z.string().transform((value) => (value === '' ? undefined : value)) as unknown as z.ZodString;

const INTEGER_TEXT = /^-?\d+(\.0+)?$/;

/** An integer within bounds; whole floats pass; text passes where `fromText` (query, multipart). */
export const integer = (bounds: { min?: number; max?: number; fromText?: boolean } = {}) => {
  let schema = z.int();
  if (bounds.min !== undefined) schema = schema.min(bounds.min);
  if (bounds.max !== undefined) schema = schema.max(bounds.max);
  if (bounds.fromText === false) return schema;
  return z.preprocess(
    (value) =>
      typeof value === 'string' && INTEGER_TEXT.test(value)
        ? Number(value)
        : value === ''
          ? undefined
          : value,
    schema,
  );
};

/** `true`/`false` of a query string. */
export const queryBoolean = () =>
  z.preprocess(
    (value) => (value === 'true' ? true : value === 'false' ? false : value === '' ? undefined : value),
    z.boolean(),
  );

/** Up to 16 pairs, key ≤ 64, value ≤ 512 characters (contract §1.1). */
export const metadata = () =>
  z.record(z.string().max(64), z.string().max(512)).superRefine((value, context) => {
    if (Object.keys(value).length > 16) {
      context.addIssue({
        code: 'custom',
        message: `Invalid 'metadata': too many properties. Expected an object with at most 16 properties, but got an object with ${Object.keys(value).length} properties instead.`,
        params: { code: 'object_above_max_properties' },
      });
    }
  });
