/** Longest head of a data URL: a type of content and its parameters. */
const MOST_HEAD = 256;

/** Type and base64 of a data URL; bare base64 has no type. Null for a data URL of another kind. */
export function splitDataUrl(text: string): { mime: string; base64: string } | null {
  if (!text.startsWith('data:')) return { mime: '', base64: text };
  const comma = text.slice(0, MOST_HEAD).indexOf(',');
  const head = text.slice('data:'.length, Math.max(comma, 0));
  if (!head.endsWith(';base64')) return null;
  return { mime: head.split(';', 1)[0]!, base64: text.slice(comma + 1) };
}
