/** One house, one dialect of TypeScript: what is private is said with `private`. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../../..');
const FOLDERS = ['orchestrator/src', 'nodes', 'credentials', 'bench', 'test'];
/** `#name` as a member; in a string or a comment it is no code. */
const HASH_PRIVATE = /^\s*(?:(?:static|readonly|async|get|set)\s+)*#[A-Za-z_]\w*\s*[!?]?\s*[:=(<;]|\bthis\.#/;

const sources = FOLDERS.flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !/(^|\/)(dist|node_modules|generated)\//.test(name))
    .map((name) => join(folder, name)),
);

const offences = (text: string): string[] =>
  text.split('\n').filter((line) => HASH_PRIVATE.test(line) && !/^\s*(\/\/|\*)/.test(line));

describe('the dialect', () => {
  it('is recognised', () => {
    expect(sources.length).toBeGreaterThan(400);
    const told = [
      '  readonly #host: Host;',
      '  async #look() {',
      '    return this.#host;',
      "  '#title',",
      '// #x = 1',
    ];
    expect(offences(told.join('\n'))).toEqual(told.slice(0, 3));
  });

  it('has no #private members', () => {
    const found = sources
      .filter((name) => !name.endsWith('dialect.test.ts'))
      .flatMap((name) =>
        offences(readFileSync(join(ROOT, name), 'utf8')).map((line) => `${name}: ${line.trim()}`),
      );
    expect(found).toEqual([]);
  });
});
