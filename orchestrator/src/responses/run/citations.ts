/**
 * Which files a text cites, and where: the span covers exactly the `sandbox:` URL,
 * counted in Unicode code points, end exclusive.
 */
import type { CitableFile } from '../container/response-container.js';
import type { ContainerFileCitation } from '../response.types.js';

export interface SandboxLink {
  /** UTF-16 offsets into the text. */
  readonly start: number;
  readonly end: number;
  /** The path as the file system knows it. */
  readonly path: string;
}

const SCHEME = 'sandbox:/mnt/data/';
const PREFIX = 'sandbox:';
const BARE_END = /[\s<>"'`)\]}|]/;
/** Names that hold one of these may be longer than the link that is read out of the text. */
const CUTS_LINK = /[\s<>"'`()\]}|]/;
/** Comparisons of such names with one text; what is left is cited as not linked. */
const MOST_COMPARISONS = 100_000;

/** Answers where something stands next, for questions that only go forward: linear over all of them. */
class Forward {
  private found = -1;
  constructor(private readonly find: (from: number) => number) {}

  /** The first place at or after `from`, or Infinity. */
  next(from: number): number {
    if (this.found < from) {
      const at = this.find(from);
      this.found = at < 0 ? Infinity : at;
    }
    return this.found;
  }
}

/** Reads the URLs of one text from left to right. Every character is looked at a fixed number of times. */
class LinkReader {
  private readonly newline: Forward;
  private readonly angle: Forward;
  private readonly title: Forward;
  /** Up to where brackets were matched. */
  private matchedTo = 0;
  /** Opening bracket before a URL → the bracket that closes it on the same line. */
  private readonly closing = new Map<number, number>();

  constructor(private readonly text: string) {
    this.newline = new Forward((from) => this.indexOfAny('\n\r', from));
    this.angle = new Forward((from) => text.indexOf('>', from));
    this.title = new Forward((from) => this.indexOfTitle(from));
  }

  end(start: number): number {
    const before = this.text[start - 1];
    if (before === '(') return this.endInParentheses(start);
    if (before === '<') {
      const close = this.angle.next(start);
      if (close < this.newline.next(start)) return close;
    }
    return this.endOfBare(start);
  }

  /** End of a URL that stands in `(…)`: its own parentheses may be nested; line ends never belong to it. */
  private endInParentheses(start: number): number {
    this.matchLine(start);
    const close = this.closing.get(start - 1) ?? Infinity;
    const title = this.title.next(start);
    if (title < close && title < this.newline.next(start))
      return start + this.text.slice(start, title).trimEnd().length;
    return close === Infinity ? this.endOfBare(start) : close;
  }

  private endOfBare(start: number): number {
    const { text } = this;
    let end = start;
    while (end < text.length && !BARE_END.test(text[end]!)) end += 1;
    while (end > start && /[.,;:!?*_]/.test(text[end - 1]!)) end -= 1;
    return end;
  }

  /** Matches the brackets of the line that `start` is on. */
  private matchLine(start: number): void {
    if (start < this.matchedTo) return;
    const { text } = this;
    const end = Math.min(this.newline.next(start), text.length);
    const open: number[] = [];
    for (let index = start - 1; index < end; index += 1) {
      if (text[index] === '(') open.push(index);
      if (text[index] !== ')') continue;
      const bracket = open.pop();
      if (bracket !== undefined && text.startsWith(SCHEME, bracket + 1)) this.closing.set(bracket, index);
    }
    this.matchedTo = end;
  }

  private indexOfAny(chars: string, from: number): number {
    const { text } = this;
    for (let index = from; index < text.length; index += 1) if (chars.includes(text[index]!)) return index;
    return -1;
  }

  /** A quotation mark after a space begins the title of a link. */
  private indexOfTitle(from: number): number {
    const { text } = this;
    for (let index = from + 1; index < text.length; index += 1) {
      const char = text[index]!;
      if ((char === '"' || char === "'") && /\s/.test(text[index - 1]!)) return index;
    }
    return -1;
  }
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** All `sandbox:` URLs of a text, in order. Linear in the length of the text. */
export function findSandboxLinks(text: string): SandboxLink[] {
  const links: SandboxLink[] = [];
  const reader = new LinkReader(text);
  let from = 0;
  for (;;) {
    const start = text.indexOf(SCHEME, from);
    if (start < 0) return links;
    const end = reader.end(start);
    const path = text.slice(start + PREFIX.length, end);
    if (path.length > '/mnt/data/'.length) links.push({ start, end, path });
    from = Math.max(end, start + SCHEME.length);
  }
}

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** Counts code points between offsets that only go forward. */
class CodePoints {
  private at = 0;
  private count = 0;

  constructor(private readonly text: string) {}

  /** Code points before the UTF-16 offset. */
  before(offset: number): number {
    for (; this.at < offset; this.at += 1) {
      const unit = this.text.charCodeAt(this.at);
      const isSecondHalf = unit >= 0xdc00 && unit <= 0xdfff && isFirstHalf(this.text.charCodeAt(this.at - 1));
      if (!isSecondHalf) this.count += 1;
    }
    return this.count;
  }
}

const isFirstHalf = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;

/** Finds the file that a link means. */
class Linkable {
  private readonly byPath: ReadonlyMap<string, CitableFile>;
  /** Files with names that end a link too early, longest path first. */
  private readonly odd: readonly CitableFile[];
  private comparisons = 0;

  constructor(files: readonly CitableFile[]) {
    this.byPath = new Map(files.map((file) => [file.path, file]));
    this.odd = files
      .filter((file) => CUTS_LINK.test(file.path))
      .sort((a, b) => b.path.length - a.path.length);
  }

  /** The file, and where its link ends in the text. */
  find(text: string, link: SandboxLink): { file: CitableFile; end: number } | null {
    const file = this.byPath.get(link.path) ?? this.byPath.get(decode(link.path));
    if (file) return { file, end: link.end };
    const from = link.start + PREFIX.length;
    this.comparisons += this.odd.length;
    if (this.comparisons > MOST_COMPARISONS) return null;
    const odd = this.odd.find((each) => text.startsWith(each.path, from));
    return odd ? { file: odd, end: from + odd.path.length } : null;
  }
}

/**
 * Citations of one finished text: linked files at their spans, then `unlinked` ones at 0/0 unless
 * the text links them anyway. Links to files that do not exist are left alone.
 */
export function cite(
  text: string,
  linkable: readonly CitableFile[],
  unlinked: readonly CitableFile[],
): ContainerFileCitation[] {
  const files = new Linkable(linkable);
  const points = new CodePoints(text);
  const citations: ContainerFileCitation[] = [];
  const cited = new Set<string>();
  const add = (file: CitableFile, start_index: number, end_index: number) => {
    cited.add(file.id);
    citations.push({
      type: 'container_file_citation',
      container_id: file.containerId,
      file_id: file.id,
      filename: baseName(file.path),
      start_index,
      end_index,
    });
  };
  let citedTo = 0;
  for (const link of findSandboxLinks(text)) {
    if (link.start < citedTo) continue;
    const found = files.find(text, link);
    if (!found) continue;
    citedTo = found.end;
    const start = points.before(link.start);
    add(found.file, start, points.before(found.end));
  }
  for (const file of unlinked) {
    if (!cited.has(file.id)) add(file, 0, 0);
  }
  return citations;
}
