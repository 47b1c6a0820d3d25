/**
 * What the built-in `python` model takes as the program: the fenced Python blocks of a message, else all of
 * it. The text is read line by line, once: a pattern that looks for the end of each fence takes time with
 * the square of the text.
 */
import { setImmediate as breathe } from 'node:timers/promises';

const PYTHON = new Set(['', 'python', 'py', 'python3', 'ipython']);
const BYTE_ORDER_MARK = '\uFEFF';
/** Lines read in one go; other requests get their turn in between. */
const LINES_AT_ONCE = 20_000;
/** Characters after a fence that can matter: the name of a language. */
const INFO = 64;

interface Fence {
  readonly char: '`' | '~';
  readonly length: number;
  /** What follows on the line, shortened. */
  readonly info: string;
}

interface OpenFence extends Fence {
  /** Where the code begins. */
  readonly from: number;
}

/** Whether a character code is a space or a tab. */
const isBlank = (code: number): boolean => code === 32 || code === 9;

/** The fence that the line `[start, end)` is, or null. */
function fenceAt(text: string, start: number, end: number): Fence | null {
  let at = start;
  while (at < end && isBlank(text.charCodeAt(at))) at += 1;
  const char = text[at];
  if (char !== '`' && char !== '~') return null;
  const first = at;
  while (at < end && text[at] === char) at += 1;
  if (at - first < 3) return null;
  return { char, length: at - first, info: text.slice(at, Math.min(end, at + INFO)).trim() };
}

const closes = (fence: Fence, open: Fence): boolean =>
  fence.info === '' && fence.char === open.char && fence.length >= open.length;

/** Words between backticks on one line are not the beginning of a block. */
const opens = (fence: Fence): boolean => fence.char === '~' || !fence.info.includes('`');

const isPython = (fence: Fence): boolean => PYTHON.has(/^[A-Za-z0-9_+-]*/.exec(fence.info)![0].toLowerCase());

const withoutMark = (text: string): string => (text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text);

/** The code of all closed Python blocks; null when there is none. A fence that nothing closes is none. */
async function blocksOf(text: string): Promise<string[] | null> {
  if (!text.includes('```') && !text.includes('~~~')) return null;
  let blocks: string[] | null = null;
  let open: OpenFence | null = null;
  let lines = 0;
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    const fence = fenceAt(text, start, end);
    if (fence && open && closes(fence, open)) {
      if (isPython(open)) {
        blocks ??= [];
        if (start > open.from) blocks.push(withoutMark(text.slice(open.from, start)));
      }
      open = null;
    } else if (fence && !open && opens(fence)) {
      open = { ...fence, from: end + 1 };
    }
    start = end + 1;
    lines += 1;
    if (lines % LINES_AT_ONCE === 0) await breathe();
  }
  return blocks;
}

/** The program in a message; a byte order mark before it is left out. Linear in the length of the text. */
export async function programOf(message: string): Promise<string> {
  const text = withoutMark(message);
  return (await blocksOf(text))?.join('\n') ?? text;
}
