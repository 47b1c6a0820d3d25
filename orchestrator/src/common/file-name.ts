/** Names of files as strangers send them. Called wherever a name enters the server. */

/** Longest name in bytes of UTF-8 that the file systems underneath take. */
export const MAX_FILE_NAME_BYTES = 255;

/** A longer ending is part of the name, not an extension. */
const MAX_EXTENSION_BYTES = 32;
const FALLBACK = 'file';

/** C0, DEL and C1 controls, line separators, byte order mark, and the marks that turn text around. */
const UNWANTED = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g;

const byteLength = (text: string): number => Buffer.byteLength(text, 'utf8');

/** The longest beginning of `text` within `maxBytes` that does not split a code point. */
function cutToBytes(text: string, maxBytes: number): string {
  let used = 0;
  let out = '';
  for (const character of text) {
    used += byteLength(character);
    if (used > maxBytes) break;
    out += character;
  }
  return out;
}

/** Name and extension (with its dot); dot files have no extension. */
function splitExtension(name: string): { stem: string; extension: string } {
  const dot = name.lastIndexOf('.');
  const extension = dot > 0 ? name.slice(dot) : '';
  if (extension === '.' || byteLength(extension) > MAX_EXTENSION_BYTES) return { stem: name, extension: '' };
  return { stem: name.slice(0, name.length - extension.length), extension };
}

/** Shortens the stem, never the extension, until the whole fits. */
export function fitFileName(name: string, maxBytes = MAX_FILE_NAME_BYTES): string {
  if (byteLength(name) <= maxBytes) return name;
  const { stem, extension } = splitExtension(name);
  return `${cutToBytes(stem, maxBytes - byteLength(extension)).trimEnd()}${extension}`;
}

/**
 * A base name that is safe to join to a folder: no separators, no `.` or `..`, no control
 * characters, at most `maxBytes` of UTF-8 with the extension kept. Otherwise the name stays as it
 * was sent, its Unicode form included. Never throws; nothing usable becomes `file`.
 */
export function safeFileName(name: string | undefined, maxBytes = MAX_FILE_NAME_BYTES): string {
  const base = (name ?? '').toWellFormed().split(/[/\\]/).at(-1) ?? '';
  const clean = base.replace(UNWANTED, '').trim();
  return /^\.*$/.test(clean) ? FALLBACK : fitFileName(clean, maxBytes);
}
