/** Text parts of multipart bodies as the value a JSON body would have been. */
import { ApiError } from './api-error.js';

/** What text parts add up to: values, nested objects, lists. */
export type FormFields = Record<string, unknown>;

const NAME = /^([^[\]]+)((?:\[[^[\]]*\])*)$/;
const MAX_DEPTH = 4;
/** Names that would reach into the prototype of the object being built. */
const FORBIDDEN: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

const isObject = (value: unknown): value is FormFields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `expires_after[seconds]` → `['expires_after', 'seconds']`; a name that is not of this form stays whole. */
export function fieldPath(name: string): string[] {
  const match = NAME.exec(name);
  if (!match) return [name];
  const keys = [...match[2]!.matchAll(/\[([^[\]]*)\]/g)].map((each) => each[1]!);
  return [match[1]!, ...keys];
}

const conflict = (name: string): ApiError =>
  new ApiError('invalid_value', `Duplicate parameter: '${name}'. Send each parameter once.`, { param: name });

function put(target: FormFields, key: string, value: unknown, name: string): void {
  if (Object.hasOwn(target, key)) throw conflict(name);
  target[key] = value;
}

/** The object or list below `key`, made when it is not there yet. */
function descend(target: FormFields, key: string, asList: boolean, name: string): unknown {
  if (!Object.hasOwn(target, key)) target[key] = asList ? [] : {};
  const child = target[key];
  if (asList ? Array.isArray(child) : isObject(child)) return child;
  throw conflict(name);
}

/**
 * Adds one text part: `a[b]` nests, a trailing `[]` makes a list. Values stay as they were sent;
 * schemas turn text into numbers. Throws for duplicates, for names at odds with each other, and for
 * names that are too deep or dangerous.
 */
export function addField(fields: FormFields, name: string, value: unknown): void {
  const path = fieldPath(name);
  if (path.length > MAX_DEPTH || path.some((key) => FORBIDDEN.has(key))) {
    throw new ApiError('unknown_parameter', `Unknown parameter: '${name}'.`, { param: name });
  }
  const isList = path.length > 1 && path.at(-1) === '';
  const last = isList ? path.length - 2 : path.length - 1;
  let target = fields;
  for (const key of path.slice(0, last)) target = descend(target, key, false, name) as FormFields;
  const key = path[last]!;
  if (isList) (descend(target, key, true, name) as unknown[]).push(value);
  else put(target, key, value, name);
}
