import { describe, expect, it } from 'vitest';
import type { CitableFile } from '../../../orchestrator/src/responses/container/response-container.js';
import { cite, findSandboxLinks } from '../../../orchestrator/src/responses/run/citations.js';

const file = (path: string): CitableFile => ({ id: `cfile_${path.length}`, containerId: 'cntr_1', path });

/** The text a citation covers, counted as the contract counts. */
const covered = (text: string, start: number, end: number) => [...text].slice(start, end).join('');

describe('findSandboxLinks', () => {
  it.each([
    ['[a](sandbox:/mnt/data/a.csv)', '/mnt/data/a.csv'],
    ['see sandbox:/mnt/data/a.csv.', '/mnt/data/a.csv'],
    ['<sandbox:/mnt/data/a b.csv>', '/mnt/data/a b.csv'],
    ['[a](sandbox:/mnt/data/my file.csv)', '/mnt/data/my file.csv'],
    ['[a](sandbox:/mnt/data/a_(1).csv)', '/mnt/data/a_(1).csv'],
    ['[a](sandbox:/mnt/data/a.csv "title")', '/mnt/data/a.csv'],
    ['**sandbox:/mnt/data/a.csv**', '/mnt/data/a.csv'],
    ['`sandbox:/mnt/data/a.csv`', '/mnt/data/a.csv'],
    ['| sandbox:/mnt/data/a.csv | x |', '/mnt/data/a.csv'],
  ])('finds the path in %s', (text, path) => {
    expect(findSandboxLinks(text).map((link) => link.path)).toEqual([path]);
  });

  it.each(['sandbox:/etc/passwd', 'sandbox:/mnt/data/', 'no link', '[a](sandbox:/mnt/dat)'])(
    'finds nothing in %s',
    (text) => {
      expect(findSandboxLinks(text)).toEqual([]);
    },
  );

  it('finds several links, also when a bracket is never closed', () => {
    const text = '(sandbox:/mnt/data/a.csv\n(sandbox:/mnt/data/b.csv)';
    expect(findSandboxLinks(text).map((link) => link.path)).toEqual(['/mnt/data/a.csv', '/mnt/data/b.csv']);
  });
});

describe('cite', () => {
  it('covers exactly the URL, counted in code points', () => {
    const text = '📈 [chart](sandbox:/mnt/data/chart.png) done';
    const [citation] = cite(text, [file('/mnt/data/chart.png')], []);
    expect(covered(text, citation!.start_index, citation!.end_index)).toBe('sandbox:/mnt/data/chart.png');
    expect(citation).toMatchObject({
      type: 'container_file_citation',
      container_id: 'cntr_1',
      filename: 'chart.png',
    });
  });

  it('understands percent-encoded links to names with spaces', () => {
    const text = '[x](sandbox:/mnt/data/my%20file.csv)';
    expect(cite(text, [file('/mnt/data/my file.csv')], [])).toHaveLength(1);
  });

  it('prefers the literal name over the decoded one', () => {
    const literal = file('/mnt/data/a%20b');
    const [citation] = cite('(sandbox:/mnt/data/a%20b)', [file('/mnt/data/a b'), literal], []);
    expect(citation!.file_id).toBe(literal.id);
  });

  it('adds files that are not linked at 0/0, and linked ones only once', () => {
    const linked = file('/mnt/data/a.csv');
    const other = file('/mnt/data/other.csv');
    const citations = cite('(sandbox:/mnt/data/a.csv)', [linked, other], [linked, other]);
    expect(citations.map((each) => [each.filename, each.start_index, each.end_index])).toEqual([
      ['a.csv', 1, 24],
      ['other.csv', 0, 0],
    ]);
  });

  it('leaves links to files that do not exist alone', () => {
    expect(cite('(sandbox:/mnt/data/missing.csv)', [], [])).toEqual([]);
  });
});
