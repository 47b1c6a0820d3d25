/** Turns what zod found wrong into the one error the wire format knows (docs/contract/errors-and-headers.md). */
import type { z } from 'zod';
import { ApiError, type ErrorCode } from './api-error.js';
import { closest } from './edit-distance.js';

type Issue = z.core.$ZodIssue & { input?: unknown };

/** `['a', 0, 'b']` → `a[0].b` */
export function formatPath(path: readonly PropertyKey[]): string {
  let out = '';
  for (const part of path) {
    if (typeof part === 'number') out += `[${part}]`;
    else out += out === '' ? String(part) : `.${String(part)}`;
  }
  return out;
}

/** Says what a value is, in the words the real service uses. */
export function describeValue(value: unknown): string {
  if (value === null) return 'null';
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'an integer' : 'a decimal number';
  if (typeof value === 'object') return 'an object';
  return typeof value === 'string' ? 'a string' : `a ${typeof value}`;
}

const EXPECTED: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'an integer',
  boolean: 'a boolean',
  array: 'an array',
  object: 'an object',
  record: 'an object',
  null: 'null',
};

const quoteList = (values: readonly unknown[]): string => {
  const quoted = values.map((value) => `'${String(value)}'`);
  return quoted.length < 2 ? quoted.join('') : `${quoted.slice(0, -1).join(', ')} and ${quoted.at(-1)}`;
};

/** Objects and arrays are named, not shown: they may be of any size and depth. */
const shorten = (value: unknown): string => {
  const text = typeof value === 'object' && value !== null ? describeValue(value) : String(value);
  return text.length > 64 ? `${text.slice(0, 61)}...` : text;
};

function fromSize(issue: Issue & { code: 'too_small' | 'too_big' }, param: string): ApiError {
  const small = issue.code === 'too_small';
  const bound = Number(small ? issue.minimum : issue.maximum);
  const value = issue.input;
  if (issue.origin === 'string' || issue.origin === 'array') {
    const length = (value as { length?: number } | undefined)?.length ?? 0;
    const what = issue.origin as 'string' | 'array';
    const code: ErrorCode = `${what}_${small ? 'below_min' : 'above_max'}_length`;
    const adjective = what === 'string' ? (small ? 'too short' : 'too long') : small ? 'too few' : 'too many';
    const noun =
      what === 'string'
        ? `a string with ${small ? 'minimum' : 'maximum'} length ${bound}`
        : `an array with ${small ? 'at least' : 'at most'} ${bound} elements`;
    const got = what === 'string' ? `a string with length ${length}` : `an array with ${length} elements`;
    return new ApiError(
      code,
      `Invalid '${param}': ${what} ${adjective}. Expected ${noun}, but got ${got} instead.`,
      { param },
    );
  }
  return outOfBounds(param, value, bound, small);
}

/** A number that is too large, or too `small`; also for bounds that only a service knows. */
export function outOfBounds(param: string, value: unknown, bound: unknown, small = false): ApiError {
  const kind = Number.isInteger(value) ? 'integer' : 'decimal';
  const code: ErrorCode = `${kind}_${small ? 'below_min' : 'above_max'}_value`;
  return new ApiError(
    code,
    `Invalid '${param}': ${kind} ${small ? 'below minimum' : 'above maximum'} value. Expected a value ${small ? '>=' : '<='} ${String(bound)}, but got ${String(value)} instead.`,
    { param },
  );
}

function fromUnknownKeys(issue: Issue & { code: 'unrecognized_keys' }, known: readonly string[]): ApiError {
  const key = issue.keys[0] ?? '';
  const param = formatPath([...issue.path, key]);
  const hint = issue.path.length === 0 ? closest(key, known) : undefined;
  return new ApiError(
    'unknown_parameter',
    `Unknown parameter: '${param}'.${hint ? ` Did you mean '${hint}'?` : ''}`,
    { param },
  );
}

/** The branch of a union that got furthest, so that the message is about what the caller meant. */
function fromUnion(issue: Issue & { code: 'invalid_union' }, known: readonly string[]): ApiError {
  const depth = (branch: readonly Issue[]) => Math.max(0, ...branch.map((each) => each.path.length));
  const wrongRoot = (branch: readonly Issue[]) =>
    branch.some((each) => each.code === 'invalid_type' && each.path.length === 0);
  const branches = (issue.errors as Issue[][])
    .filter((branch) => !wrongRoot(branch))
    .sort((a, b) => depth(b) - depth(a));
  const inner = branches[0]?.[0];
  if (inner) return issueToError({ ...inner, path: [...issue.path, ...inner.path] }, known);
  const param = formatPath(issue.path);
  const names = (issue.errors as Issue[][]).flatMap((branch) =>
    branch.flatMap((each) =>
      each.code === 'invalid_type' ? [EXPECTED[each.expected] ?? each.expected] : [],
    ),
  );
  const expected =
    names.length > 0
      ? `Expected one of ${[...new Set(names)].join(', ')}, but got ${describeValue(issue.input)} instead.`
      : issue.message;
  const code: ErrorCode =
    issue.input === undefined
      ? 'missing_required_parameter'
      : names.length > 0
        ? 'invalid_type'
        : 'invalid_value';
  if (code === 'missing_required_parameter')
    return new ApiError(code, `Missing required parameter: '${param}'.`, { param });
  return new ApiError(
    code,
    code === 'invalid_type'
      ? `Invalid type for '${param}': ${lowerFirst(expected)}`
      : `Invalid value for '${param}': ${expected}`,
    { param },
  );
}

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);

/** One issue to one error; `known` are the top-level keys, for "Did you mean". */
export function issueToError(issue: Issue, known: readonly string[] = []): ApiError {
  const param = formatPath(issue.path);
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined)
        return new ApiError('missing_required_parameter', `Missing required parameter: '${param}'.`, {
          param,
        });
      return new ApiError(
        'invalid_type',
        `Invalid type for '${param}': expected ${EXPECTED[issue.expected] ?? `a ${issue.expected}`}, but got ${describeValue(issue.input)} instead.`,
        { param },
      );
    case 'too_small':
    case 'too_big':
      return fromSize(issue, param);
    case 'invalid_value':
      if (issue.input === undefined)
        return new ApiError('missing_required_parameter', `Missing required parameter: '${param}'.`, {
          param,
        });
      return new ApiError(
        'invalid_value',
        `Invalid value: '${shorten(issue.input)}'. Supported values are: ${quoteList(issue.values)}.`,
        { param },
      );
    case 'unrecognized_keys':
      return fromUnknownKeys(issue, known);
    case 'invalid_union':
      return fromUnion(issue, known);
    case 'invalid_key':
    case 'invalid_element': {
      const inner = issue.issues[0] as Issue | undefined;
      return inner
        ? issueToError({ ...inner, path: [...issue.path, ...inner.path] }, known)
        : new ApiError('invalid_value', issue.message, { param });
    }
    case 'custom': {
      const code = (issue.params as { code?: ErrorCode } | undefined)?.code ?? 'invalid_value';
      return new ApiError(code, issue.message, { param: param === '' ? null : param });
    }
    case 'invalid_format':
    case 'not_multiple_of':
    default:
      return new ApiError('invalid_value', `Invalid '${param}': ${(issue as Issue).message}.`, { param });
  }
}

/** Keys are checked before types (docs/contract/errors-and-headers.md), missing ones before both. */
function rank(issue: Issue): number {
  if ((issue.code === 'invalid_type' || issue.code === 'invalid_value') && issue.input === undefined)
    return 0;
  return issue.code === 'unrecognized_keys' ? 1 : 2;
}

/** Parses `value`, or throws the ApiError of its most telling fault. Called by the pipe and by hand. */
export function parseWire<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  const issues = (result.error.issues as Issue[]).map((issue, position) => ({ issue, position }));
  issues.sort((a, b) => rank(a.issue) - rank(b.issue) || a.position - b.position);
  const shape = (schema as unknown as { shape?: Record<string, unknown> }).shape;
  throw issueToError(issues[0]!.issue, shape ? Object.keys(shape) : []);
}
