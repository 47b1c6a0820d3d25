/**
 * The rules of docs/contract, by number: each has a test whose title begins with its number, through the official clients for JavaScript (7 and 6, see test/support/clients.ts) and, where a
 * client can make a difference, through the Python client (`def test_NN_…`, `def test_NN_MM_…` for a range).
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../../..');
const RULES = join(ROOT, 'docs/contract');
const TESTS = join(ROOT, 'test/contract');
/** What the server does whoever asks: parsing, expiry, limits, load, restarts. Tried in JavaScript or over plain HTTP. */
const WITHOUT_PYTHON = [5, 7, 18, 32, 60, 61, 67, 68, 69, 70, 105, 106, 108];

const upTo = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index);

function numbersIn(
  folder: string,
  ending: string,
  pattern: RegExp,
  read: (match: RegExpMatchArray) => number[],
) {
  const found = new Set<number>();
  for (const name of readdirSync(folder).filter((each) => each.endsWith(ending))) {
    for (const match of readFileSync(join(folder, name), 'utf8').matchAll(pattern))
      for (const number of read(match)) found.add(number);
  }
  return found;
}

/** `it('71, 72: a plain response …'`, also as the title of a `describe` or of a row of a table. */
const ofTitle = (match: RegExpMatchArray) => match[1]!.split(', ').map(Number);
const ofFunction = (match: RegExpMatchArray) => upTo(Number(match[1]), Number(match[2] ?? match[1]));

/** `- **71** A plain response …`, in the order of the pages. */
const rules = readdirSync(RULES)
  .filter((name) => name.endsWith('.md'))
  .flatMap((name) => [...readFileSync(join(RULES, name), 'utf8').matchAll(/^- \*\*(\d+)\*\* \S/gm)])
  .map((match) => Number(match[1]));
const CHECKS = Math.max(...rules);

const missing = (found: ReadonlySet<number>) => upTo(1, CHECKS).filter((number) => !found.has(number));

describe('the rules of the contract', () => {
  it('are numbered without gaps, and no number stands on two pages', () => {
    expect(rules.toSorted((a, b) => a - b)).toEqual(upTo(1, CHECKS));
  });

  it('are cited by their page, not by a paragraph of something that is not here', () => {
    // The pattern is spelled so that it does not find itself.
    const tracked = execFileSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8' }).split('\0');
    const citing = tracked.filter(
      (name) =>
        /\.(?:[cm]?[jt]s|py|md|prisma|sh)$/.test(name) &&
        existsSync(join(ROOT, name)) &&
        /contract\s[§]/i.test(readFileSync(join(ROOT, name), 'utf8')),
    );
    expect(tracked.length).toBeGreaterThan(100);
    expect(citing).toEqual([]);
  });

  it('that a comment names are pages that are there', () => {
    const sources = execFileSync('git', ['grep', '-hoE', 'docs/contract/[a-z-]+\\.md'], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    const named = new Set(sources.trim().split('\n'));
    expect([...named].filter((page) => !existsSync(join(ROOT, page)))).toEqual([]);
  });

  it('each have a test in JavaScript', () => {
    const found = numbersIn(TESTS, '.test.ts', /[([]\s*['"`](\d{1,3}(?:, \d{1,3})*): /g, ofTitle);
    expect(missing(found)).toEqual([]);
    expect([...found].filter((number) => number > CHECKS)).toEqual([]);
  });

  it('each have a test in Python, unless the client makes no difference', () => {
    const found = numbersIn(
      join(TESTS, 'python'),
      '.py',
      /def test_(\d{1,3})(?:_(\d{1,3}))?_[a-z]/g,
      ofFunction,
    );
    expect(missing(found)).toEqual(WITHOUT_PYTHON);
  });
});
