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

export class CodeArguments {
  private text = '';
  /** Where the next undecoded character of the code string stands; -1 until its opening quote was seen. */
  private position = -1;
  private closed = false;
  private decoded = '';

  /** Takes a piece of the arguments; returns the piece of code it completes, maybe empty. */
  push(delta: string): string {
    this.text += delta;
    if (this.position < 0) {
      const match = START.exec(this.text);
      if (!match) return '';
      this.position = match[0].length;
    }
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
      if (this.position >= 0) return this.decoded;
    }
    return this.text;
  }

  private decode(): string {
    let out = '';
    while (!this.closed && this.position < this.text.length) {
      const char = this.text[this.position]!;
      if (char === '"') {
        this.closed = true;
      } else if (char !== '\\') {
        out += char;
        this.position += 1;
      } else {
        const escape = this.escapeAt(this.position);
        if (escape === null) break;
        out += escape.text;
        this.position += escape.length;
      }
    }
    return this.holdBackHalfPair(out);
  }

  /** The escape sequence at `index`, or null while it is incomplete. */
  private escapeAt(index: number): { text: string; length: number } | null {
    const kind = this.text[index + 1];
    if (kind === undefined) return null;
    if (kind !== 'u') return { text: ESCAPES[kind] ?? kind, length: 2 };
    const digits = this.text.slice(index + 2, index + 6);
    if (digits.length < 4) return null;
    return { text: String.fromCharCode(Number.parseInt(digits, 16)), length: 6 };
  }

  /** A high surrogate at the end waits for its partner, so that no event carries half a character. */
  private held = '';
  private holdBackHalfPair(piece: string): string {
    const text = this.held + piece;
    this.held = '';
    if (!this.closed && /[\uD800-\uDBFF]$/.test(text)) {
      this.held = text.slice(-1);
      return text.slice(0, -1);
    }
    return text;
  }
}
