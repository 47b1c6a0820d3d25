/** `Range` of a download (RFC 9110 §14): one range of bytes; anything else is answered in full. */
export type RequestedRange = { readonly start: number; readonly end: number } | 'unsatisfiable' | null;

const SINGLE = /^bytes=(\d*)-(\d*)$/;

/** Both ends inclusive, within `bytes`; null when the whole content is to be sent. */
export function parseRange(header: string | undefined, bytes: number): RequestedRange {
  const match = header === undefined ? null : SINGLE.exec(header.trim());
  if (!match || (match[1] === '' && match[2] === '')) return null;
  if (match[1] === '') {
    const wanted = Math.min(Number(match[2]), bytes);
    return wanted === 0 ? 'unsatisfiable' : { start: bytes - wanted, end: bytes - 1 };
  }
  const start = Number(match[1]);
  const end = match[2] === '' ? bytes - 1 : Math.min(Number(match[2]), bytes - 1);
  if (match[2] !== '' && Number(match[2]) < start) return null;
  return start >= bytes ? 'unsatisfiable' : { start, end };
}
