/**
 * Reads the code out of the arguments of a `python` call while they arrive: `{"code":"…"}` in pieces
 * cut anywhere. Models that send bare code instead of JSON are understood too.
 */

const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  t: '\t',
  r: '\r',
  b: '\b',
  f: '\f',
  '"': '"',
  '\\': '\\',
  '/': '/',
};
const START = /^\s*\{\s*"(?:code|input|source)"\s*:\s*"/;
/** Characters within which the code must have begun; a model that writes more before it is read at the end. */
const MOST_BEFORE = 1_000;

export class CodeArguments {
  /** All that came, for `raw` and for the end: never looked into while pieces come, so that it stays cheap. */
  private text = '';
  /** What came and was not decoded. */
  private rest = '';
  private state: 'before' | 'inside' | 'closed' | 'unknown' = 'before';
  private decoded = '';
  /** A high surrogate that waits for its partner, so that no event carries half a character. */
  private held = '';

  /** Takes a piece of the arguments; returns the piece of code it completes, maybe empty. */
  push(delta: string): string {
    this.text += delta;
    if (this.state === 'closed' || this.state === 'unknown') return '';
    this.rest += delta;
    if (this.state === 'before' && !this.begin()) return '';
    const piece = this.decode();
    this.decoded += piece;
    return piece;
  }

  /** All arguments have come: the whole code, and what of it was not given out yet. */
  finish(): { readonly code: string; readonly rest: string } {
    const code = this.whole();
    return { code, rest: code.startsWith(this.decoded) ? code.slice(this.decoded.length) : '' };
  }

  /** The arguments as the model wrote them. */
  get raw(): string {
    return this.text;
  }

  /** Whether the opening quote of the code has come; what follows it is the rest. */
  private begin(): boolean {
    const match = START.exec(this.rest.slice(0, MOST_BEFORE));
    if (match) {
      this.state = 'inside';
      this.rest = this.rest.slice(match[0].length);
    } else if (this.rest.length >= MOST_BEFORE) {
      this.state = 'unknown';
      this.rest = '';
    }
    return match !== null;
  }

  private whole(): string {
    try {
      const value: unknown = JSON.parse(this.text);
      if (typeof value === 'string') return value;
      if (typeof value === 'object' && value !== null) {
        const { code, input, source } = value as Record<string, unknown>;
        const found = code ?? input ?? source;
        if (typeof found === 'string') return found;
        if (Array.isArray(found)) return found.join('\n');
        return '';
      }
    } catch {
      if (this.state === 'inside' || this.state === 'closed') return this.decoded;
    }
    return this.text;
  }

  /** Decodes the rest as far as it goes; plain text between escapes is taken in one piece. */
  private decode(): string {
    const { rest } = this;
    const pieces: string[] = [];
    let at = 0;
    let quote = -1;
    let slash = -1;
    while (this.state === 'inside' && at < rest.length) {
      if (quote < at) quote = placeOf(rest, '"', at);
      if (slash < at) slash = placeOf(rest, '\\', at);
      const end = Math.min(quote, slash);
      if (end > at) pieces.push(rest.slice(at, end));
      at = end;
      if (at >= rest.length) break;
      if (quote < slash) {
        this.state = 'closed';
        at = rest.length;
        break;
      }
      const escape = escapeAt(rest, at);
      if (escape === null) break;
      pieces.push(escape.text);
      at += escape.length;
    }
    this.rest = rest.slice(at);
    return this.holdBackHalfPair(pieces.join(''));
  }

  private holdBackHalfPair(piece: string): string {
    const text = this.held + piece;
    const last = text.charCodeAt(text.length - 1);
    const isHalf = this.state === 'inside' && last >= 0xd800 && last <= 0xdbff;
    this.held = isHalf ? text.slice(-1) : '';
    return isHalf ? text.slice(0, -1) : text;
  }
}

/** Where `char` stands at or after `from`; the end when it does not. */
function placeOf(text: string, char: string, from: number): number {
  const at = text.indexOf(char, from);
  return at < 0 ? text.length : at;
}

/** The escape sequence at `index`, or null while it is incomplete. */
function escapeAt(text: string, index: number): { text: string; length: number } | null {
  const kind = text[index + 1];
  if (kind === undefined) return null;
  if (kind !== 'u') return { text: ESCAPES[kind] ?? kind, length: 2 };
  const digits = text.slice(index + 2, index + 6);
  if (digits.length < 4) return null;
  return { text: String.fromCharCode(Number.parseInt(digits, 16)), length: 6 };
}
