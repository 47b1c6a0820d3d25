/**
 * JSON text of strangers → a value, within limits. The limits are counted on the bytes before anything is
 * built from them, in one pass, without recursion. Also the program of the thread that does this for large
 * bodies (`json-thread.ts`), so it imports nothing of ours.
 */
import { parentPort, workerData } from 'node:worker_threads';

export const JSON_LIMITS = { depth: 256, entries: 10_000, values: 50_000 } as const;

export type JsonFault =
  | { readonly kind: 'malformed' }
  | { readonly kind: 'depth' | 'entries' | 'values'; readonly limit: number }
  | { readonly kind: 'text'; readonly path: readonly (string | number)[] };

export type JsonResult =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly fault: JsonFault };

export const THREAD_MARK = 'json-thread';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const SPACE = 0x20;

/** Position of the quote that ends the string beginning after `from`, or the length. */
function endOfString(bytes: Uint8Array, from: number): number {
  let at = from;
  while (at < bytes.length && bytes[at] !== QUOTE) at += bytes[at] === BACKSLASH ? 2 : 1;
  return at;
}

/** The first limit that the text exceeds; says nothing about whether it is JSON at all. */
export function exceededLimit(bytes: Uint8Array): JsonFault | null {
  const { depth: maxDepth, entries: maxEntries, values: maxValues } = JSON_LIMITS;
  const entries = new Uint32Array(maxDepth + 1);
  let depth = 0;
  let values = 1;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at]!;
    if (byte <= SPACE) continue;
    if (byte === QUOTE) {
      at = endOfString(bytes, at + 1);
    } else if (byte === COMMA) {
      values += 1;
      entries[depth]! += 1;
      if (entries[depth]! >= maxEntries) return { kind: 'entries', limit: maxEntries };
    } else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
      values += 1;
      depth += 1;
      if (depth > maxDepth) return { kind: 'depth', limit: maxDepth };
      entries[depth] = 0;
    } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
      if (depth > 0) depth -= 1;
    }
    if (values > maxValues) return { kind: 'values', limit: maxValues };
  }
  return null;
}

/** PostgreSQL takes neither NUL characters nor halves of surrogate pairs. */
const isStorable = (text: string): boolean => !text.includes('\0') && text.isWellFormed();

/** What such text looks like in JSON; pairs of surrogates look like this as well. */
const SUSPICIOUS_TEXT = /\\u(?:0000|d[89a-f])/i;
/** What a name that reaches into a prototype looks like in JSON. */
const SUSPICIOUS_NAME = /__proto__|\\u005f/i;

interface Step {
  readonly value: unknown;
  readonly key: string | number;
  readonly parent: Step | null;
}

function pathOf(step: Step): (string | number)[] {
  const path: (string | number)[] = [];
  for (let at: Step | null = step; at?.parent; at = at.parent) path.push(at.key);
  return path.reverse();
}

/**
 * The first fault of what JSON allows and we do not: text that cannot be stored, names that are dangerous.
 * Called only for texts that look suspicious. In the order of the text.
 */
export function findFault(root: unknown): JsonFault | null {
  const todo: Step[] = [{ value: root, key: '', parent: null }];
  for (let step = todo.pop(); step; step = todo.pop()) {
    const { value } = step;
    if (typeof value === 'string') {
      if (!isStorable(value)) return { kind: 'text', path: pathOf(step) };
    } else if (typeof value === 'object' && value !== null) {
      const children: Step[] = [];
      for (const [key, child] of Object.entries(value)) {
        if (!isStorable(key)) return { kind: 'text', path: pathOf(step) };
        if (key === '__proto__') return { kind: 'malformed' };
        if (typeof child === 'string' || typeof child === 'object')
          children.push({ value: child, key: Array.isArray(value) ? Number(key) : key, parent: step });
      }
      for (let child = children.pop(); child; child = children.pop()) todo.push(child);
    }
  }
  return null;
}

const failed = (fault: JsonFault): JsonResult => ({ ok: false, fault });

/** Never throws. An empty body is `undefined`. */
export function parseJson(bytes: Uint8Array): JsonResult {
  const exceeded = exceededLimit(bytes);
  if (exceeded) return failed(exceeded);
  // Takes a byte order mark away, and puts U+FFFD where bytes are no UTF-8.
  const text = new TextDecoder().decode(bytes);
  if (text.trim() === '') return { ok: true, value: undefined };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return failed({ kind: 'malformed' });
  }
  const fault = SUSPICIOUS_TEXT.test(text) || SUSPICIOUS_NAME.test(text) ? findFault(value) : null;
  return fault ? failed(fault) : { ok: true, value };
}

if (workerData === THREAD_MARK)
  parentPort?.on('message', ({ id, job }: { id: number; job: Uint8Array }) => {
    parentPort!.postMessage({ id, result: parseJson(job) });
  });
