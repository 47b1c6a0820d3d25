/**
 * Which files a text cites, and where (contract §2.8): the span covers exactly the `sandbox:` URL,
 * counted in Unicode code points, end exclusive.
 */
import type { ContainerFileCitation } from '../response.types.js';

/** A file that may be cited. `path` is absolute below `/mnt/data`. */
export interface CitableFile {
  readonly id: string;
  readonly containerId: string;
  readonly path: string;
}

export interface SandboxLink {
  /** UTF-16 offsets into the text. */
  readonly start: number;
  readonly end: number;
  /** The path as the file system knows it. */
  readonly path: string;
}

const SCHEME = 'sandbox:/mnt/data/';
const BARE_END = /[\s<>"'`)\]}|]/;

/** End of a URL that stands in `(…)`: its own parentheses may be nested; line ends never belong to it. */
function endInParentheses(text: string, start: number): number {
  let depth = 0;
  for (let index = start; index < text.length; index += 1) {
    const char = text[index]!;
    if (char === '\n' || char === '\r') break;
    if (char === '(') depth += 1;
    if (char === ')') {
      if (depth === 0) return index;
      depth -= 1;
    }
    if ((char === '"' || char === "'") && /\s/.test(text[index - 1] ?? ''))
      return text.slice(start, index).trimEnd().length + start;
  }
  return endOfBare(text, start);
}

function endOfBare(text: string, start: number): number {
  let end = start;
  while (end < text.length && !BARE_END.test(text[end]!)) end += 1;
  while (end > start && /[.,;:!?*_]/.test(text[end - 1]!)) end -= 1;
  return end;
}

function endOfUrl(text: string, start: number): number {
  const before = text[start - 1];
  if (before === '(') return endInParentheses(text, start);
  if (before === '<') {
    const close = text.indexOf('>', start);
    if (close > 0 && !text.slice(start, close).includes('\n')) return close;
  }
  return endOfBare(text, start);
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

/** All `sandbox:` URLs of a text, in order. */
export function findSandboxLinks(text: string): SandboxLink[] {
  const links: SandboxLink[] = [];
  let from = 0;
  for (;;) {
    const start = text.indexOf(SCHEME, from);
    if (start < 0) return links;
    const end = endOfUrl(text, start);
    const path = text.slice(start + 'sandbox:'.length, end);
    if (path.length > '/mnt/data/'.length) links.push({ start, end, path });
    from = Math.max(end, start + SCHEME.length);
  }
}

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

const codePoints = (text: string): number => {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
};

/**
 * Citations of one finished text: linked files at their spans, then `unlinked` ones at 0/0 unless
 * the text links them anyway. Links to files that do not exist are left alone.
 */
export function cite(
  text: string,
  linkable: readonly CitableFile[],
  unlinked: readonly CitableFile[],
): ContainerFileCitation[] {
  const byPath = new Map(linkable.map((file) => [file.path, file]));
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
  for (const link of findSandboxLinks(text)) {
    const file = byPath.get(link.path) ?? byPath.get(decode(link.path));
    if (!file) continue;
    const start = codePoints(text.slice(0, link.start));
    add(file, start, start + codePoints(text.slice(link.start, link.end)));
  }
  for (const file of unlinked) {
    if (!cited.has(file.id)) add(file, 0, 0);
  }
  return citations;
}
