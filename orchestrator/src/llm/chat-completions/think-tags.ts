/**
 * Takes `<think>…</think>` at the beginning of a text for reasoning, in pieces cut anywhere. Used for
 * models whose server does not tell the two apart (setting `reasoning_tags`). Pure.
 */
const OPEN = '<think>';
const CLOSE = '</think>';

export interface Split {
  readonly type: 'text' | 'reasoning';
  readonly delta: string;
}

/** How many characters at the end of `text` may be the beginning of `tag`. */
function overlap(text: string, tag: string): number {
  for (let length = Math.min(tag.length - 1, text.length); length > 0; length -= 1) {
    if (text.endsWith(tag.slice(0, length))) return length;
  }
  return 0;
}

export class ThinkTags {
  private state: 'start' | 'thinking' | 'gap' | 'text';
  private held = '';

  /** `implied`: the text begins inside the reasoning, without an opening tag. */
  constructor(implied: boolean) {
    this.state = implied ? 'thinking' : 'start';
  }

  push(delta: string): Split[] {
    const out: Split[] = [];
    this.held += delta;
    if (this.state === 'start') this.begin();
    if (this.state === 'thinking') this.think(out);
    if (this.state === 'gap') this.skipGap();
    if (this.state === 'text') this.give('text', this.held.length, out);
    return out;
  }

  /** Nothing more comes: what was held back is what it looked like. */
  end(): Split[] {
    const out: Split[] = [];
    if (this.state !== 'gap')
      this.give(this.state === 'thinking' ? 'reasoning' : 'text', this.held.length, out);
    return out;
  }

  private begin(): void {
    const trimmed = this.held.trimStart();
    if (trimmed.startsWith(OPEN)) {
      this.held = trimmed.slice(OPEN.length);
      this.state = 'thinking';
    } else if (!OPEN.startsWith(trimmed)) {
      this.state = 'text';
    }
  }

  private think(out: Split[]): void {
    const end = this.held.indexOf(CLOSE);
    if (end < 0) {
      this.give('reasoning', this.held.length - overlap(this.held, CLOSE), out);
      return;
    }
    this.give('reasoning', end, out);
    this.held = this.held.slice(CLOSE.length);
    this.state = 'gap';
  }

  /** Blank lines between the reasoning and the answer belong to neither. */
  private skipGap(): void {
    this.held = this.held.trimStart();
    if (this.held !== '') this.state = 'text';
  }

  private give(type: Split['type'], length: number, out: Split[]): void {
    if (length > 0) out.push({ type, delta: this.held.slice(0, length) });
    this.held = this.held.slice(length);
  }
}
