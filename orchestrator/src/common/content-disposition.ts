/** `Content-Disposition` of downloads (RFC 6266, RFC 8187). */

/** What a quoted string may hold without escapes and without being misread as an encoded byte. */
const NOT_PLAIN = /[^\x20-\x7e]|["\\%]/g;

/** Percent-encodes everything but RFC 8187's attr-char. */
const encodeExtended = (text: string): string =>
  encodeURIComponent(text).replace(/['()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);

/**
 * Tells the client to save the body under `name`, or to show it and to propose `name` for saving: an ASCII
 * approximation for old clients and the exact name for the others. `name` should come from `safeFileName`.
 */
export function contentDisposition(kind: 'attachment' | 'inline', name: string): string {
  const wellFormed = name.toWellFormed();
  const plain = wellFormed.replace(NOT_PLAIN, '_');
  return `${kind}; filename="${plain}"; filename*=UTF-8''${encodeExtended(wellFormed)}`;
}

/** Tells the client to save the body under `name`. */
export const attachment = (name: string): string => contentDisposition('attachment', name);
