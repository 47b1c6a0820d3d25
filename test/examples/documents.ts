/** Takes commands out of Markdown, so that what a reader copies is what is tested. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');

export interface Block {
  readonly language: string;
  readonly text: string;
}

/** The fenced block behind `<!-- example: NAME -->` in a document of this repository. */
export function blockOf(document: string, name: string): Block {
  const text = readFileSync(join(ROOT, document), 'utf8');
  const mark = text.indexOf(`<!-- example: ${name} -->`);
  const found = mark < 0 ? null : /```(\w+)\n([\s\S]*?)```/.exec(text.slice(mark));
  if (!found) throw new Error(`${document} has no example '${name}'`);
  return { language: found[1]!, text: found[2]! };
}
