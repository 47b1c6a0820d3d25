/** docs/security.md has a section for this release, and names tests that are there: all that attack. */
import { globSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../../..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const PAGE = read('docs/security.md');
const { version } = JSON.parse(read('package.json')) as { version: string };

const tests = globSync('test/**/*{.test.ts,test_*.py}', { cwd: ROOT }).map((path) =>
  path.replaceAll('\\', '/'),
);
/** Whole paths, folders, and names of files alone. */
const named = [...PAGE.matchAll(/`((?:test\/|\w[\w-]*\.test\.ts|test_\w+\.py)[^`*]*)`/g)].map(
  ([, name]) => name!,
);
const isMeant = (name: string, path: string): boolean =>
  name.endsWith('/') ? path.startsWith(name) : path === name || basename(path) === name;

describe('docs/security.md', () => {
  it('says for this version what was attacked', () => {
    expect(PAGE).toMatch(new RegExp(`^### ${version.replaceAll('.', '\\.')}(,|$)`, 'm'));
  });

  it('names tests that are there', () => {
    expect(named.length).toBeGreaterThan(30);
    expect(named.filter((name) => !tests.some((path) => isMeant(name, path)))).toEqual([]);
  });

  it.each(tests.filter((path) => /^test\/(security|load|faults|soak)\//.test(path)))('names %s', (path) => {
    expect(named.some((name) => isMeant(name, path))).toBe(true);
  });
});
