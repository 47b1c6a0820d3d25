/** What the built-in `python` model takes as the program: the fenced Python blocks of a message, else all of it. */

const FENCE = /^[ \t]*(```+|~~~+)[ \t]*([A-Za-z0-9_+-]*)[^\n]*\n([\s\S]*?)^[ \t]*\1[ \t]*$/gm;
const PYTHON = new Set(['', 'python', 'py', 'python3', 'ipython']);

export function programOf(text: string): string {
  const blocks = [...text.matchAll(FENCE)]
    .filter((match) => PYTHON.has(match[2]!.toLowerCase()))
    .map((match) => match[3]!);
  return blocks.length > 0 ? blocks.join('\n') : text;
}
