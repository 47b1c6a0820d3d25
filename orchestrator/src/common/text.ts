/** PostgreSQL stores neither NUL nor lone surrogates; both become U+FFFD. */
export const storableText = (text: string): string => text.toWellFormed().replaceAll('\0', '\uFFFD');

/** Cuts to at most `max` UTF-16 units without splitting a pair. */
export function truncate(text: string, max: number): string {
  if (text.length <= max) return text;
  const cut = text.slice(0, max);
  return /[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut;
}

/** Line ends, controls, and marks that turn text around. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\ufeff]/gu;

/**
 * A name on one line, as somebody reads it: what would break the line or turn it around is written as
 * Python and JavaScript write it (`\\u000a`). For names of files in texts of ours.
 */
export const visible = (name: string): string =>
  name.replace(UNPRINTABLE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
