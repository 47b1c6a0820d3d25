/**
 * Building blocks of request schemas: what the official clients send turned into
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

interface Refusal {
  readonly code: 'too_big';
  readonly origin: 'array';
  readonly maximum: number;
}

/** Refused before the elements are looked at, which would take long for a million of them. */
const guarded = <T extends z.ZodType>(check: (value: unknown) => Refusal | string | null, schema: T) =>
  z.preprocess((value, context) => {
    const refusal = check(value);
    if (refusal === null) return value;
    if (typeof refusal === 'string')
      context.addIssue({ code: 'custom', message: refusal, params: { code: 'object_above_max_properties' } });
    else context.addIssue({ ...refusal, inclusive: true, input: value as never });
    return z.NEVER;
  }, schema);

/** At most `max` elements, at least `min`; more than that are counted and not read. */
export const list = <T extends z.ZodType>(element: T, max: number, min = 0) =>
  guarded(
    (value) =>
      Array.isArray(value) && value.length > max ? { code: 'too_big', origin: 'array', maximum: max } : null,
    min === 0 ? z.array(element).max(max) : z.array(element).min(min).max(max),
  );

/** Properties of an object, or a number above `max` as soon as there are more. */
function countProperties(value: object, max: number): number {
  let count = 0;
  for (const key in value) {
    if (!Object.hasOwn(value, key)) continue;
    count += 1;
    if (count > max) return Object.keys(value).length;
  }
  return count;
}

/** At most `max` properties; more are counted and not read. `name`: how the message names the object. */
export const record = <T extends z.ZodType<Record<string, unknown>>>(schema: T, max: number, name: string) =>
  guarded((value) => {
    if (typeof value !== 'object' || value === null) return null;
    const count = countProperties(value, max);
    if (count <= max) return null;
    return `Invalid '${name}': too many properties. Expected an object with at most ${max} properties, but got an object with ${count} properties instead.`;
  }, schema);

const METADATA_PAIRS = 16;

/** Up to 16 pairs, key ≤ 64, value ≤ 512 characters. */
export const metadata = () =>
  record(z.record(z.string().max(64), z.string().max(512)), METADATA_PAIRS, 'metadata');

/** Levels of objects and arrays in a JSON Schema, and values in it all in all. */
export const MAX_SCHEMA_DEPTH = 100;
export const MAX_SCHEMA_VALUES = 50_000;

/** What is wrong with the size of a JSON value, or null. Walks without recursion, so any depth is fine. */
function sizeFault(root: unknown): string | null {
  const stack: { value: unknown; depth: number }[] = [{ value: root, depth: 0 }];
  let values = 0;
  for (let next = stack.pop(); next; next = stack.pop()) {
    values += 1;
    if (values > MAX_SCHEMA_VALUES) return `more than ${MAX_SCHEMA_VALUES} values`;
    if (typeof next.value !== 'object' || next.value === null) continue;
    if (next.depth >= MAX_SCHEMA_DEPTH) return `more than ${MAX_SCHEMA_DEPTH} levels`;
    const { length } = Array.isArray(next.value) ? next.value : Object.keys(next.value);
    if (values + stack.length + length > MAX_SCHEMA_VALUES) return `more than ${MAX_SCHEMA_VALUES} values`;
    for (const value of Object.values(next.value)) stack.push({ value, depth: next.depth + 1 });
  }
  return null;
}

function refuseSize(value: unknown, context: z.core.$RefinementCtx<unknown>): void {
  const fault = sizeFault(value);
  if (fault === null) return;
  context.addIssue({
    code: 'custom',
    message: `Invalid value: it has ${fault}.`,
    params: { code: 'invalid_value' },
  });
}

/** Any JSON that can be copied, stored and sent on. */
export const anyJson = () => z.unknown().superRefine(refuseSize);

/** A JSON Schema that a client sends: any such object. */
export const jsonSchema = () =>
  z
    .record(z.string(), z.unknown())
    .superRefine(refuseSize)
    .meta({
      description: `A JSON Schema, up to ${MAX_SCHEMA_DEPTH} levels deep and with up to ${MAX_SCHEMA_VALUES} values.`,
    });
