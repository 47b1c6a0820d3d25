import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const script = join(import.meta.dirname, '../../../scripts/lib/test-summary.mjs');

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'summary-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function summary(files: Record<string, string>, ...tiers: string[]) {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  const { status, stdout } = spawnSync('node', [script, directory, ...tiers], { encoding: 'utf8' });
  const lines = stdout.trimEnd().split('\n');
  return { status, lines, last: lines.at(-1), names: lines.filter((line) => line.startsWith('failed: ')) };
}

const report = (...tests: { status: string; fullName?: string; failureMessages?: string[] }[]) =>
  JSON.stringify({
    numPassedTests: tests.filter(({ status }) => status === 'passed').length,
    numFailedTests: tests.filter(({ status }) => status === 'failed').length,
    numPendingTests: tests.filter(({ status }) => status === 'skipped').length,
    numTodoTests: 0,
    testResults: [{ name: '/somewhere/test/unit/a.test.ts', status: 'passed', assertionResults: tests }],
  });

describe('the summary of all tiers', () => {
  it('adds up what went well', () => {
    const { status, last, names } = summary(
      {
        'unit.json': report({ status: 'passed' }, { status: 'skipped' }),
        'unit.status': '0',
        'sandbox.log': 'Ran 3 tests in 1.5s\n\nOK\n',
        'sandbox.status': '0',
      },
      'unit',
      'sandbox',
    );
    expect({ status, last, names }).toEqual({
      status: 0,
      last: '4 passed, 0 failed, 1 skipped',
      names: [],
    });
    expect(readFileSync(join(directory, 'summary.txt'), 'utf8')).toBe(`${last}\n`);
  });

  it('names each failed test, with its place and the first line of its reason', () => {
    const { status, last, names } = summary(
      {
        'unit.json': report(
          { status: 'passed' },
          {
            status: 'failed',
            fullName: 'a door opens',
            failureMessages: ['Error: it was locked\n    at door.ts'],
          },
        ),
        'unit.status': '1',
        'sandbox.log':
          "FAIL: test_door (test_house.Doors.test_door) (name='front')\nERROR: test_wall (test_house.Walls.test_wall)\n\nRan 5 tests in 2s\n\nFAILED (failures=1, errors=1)\n",
        'sandbox.status': '1',
      },
      'unit',
      'sandbox',
    );
    expect({ status, last }).toEqual({ status: 1, last: '4 passed, 3 failed, 0 skipped' });
    expect(names).toEqual([
      'failed: unit: test/unit/a.test.ts > a door opens: Error: it was locked',
      "failed: sandbox: test_door (test_house.Doors.test_door) (name='front')",
      'failed: sandbox: test_wall (test_house.Walls.test_wall)',
    ]);
  });

  it('counts a file that could not be run, and a tier that ended without a word', () => {
    const broken = {
      numPassedTests: 1,
      numFailedTests: 0,
      numPendingTests: 0,
      numTodoTests: 0,
      testResults: [{ name: '/somewhere/test/unit/b.test.ts', status: 'failed', assertionResults: [] }],
    };
    const { status, last, names } = summary(
      { 'unit.json': JSON.stringify(broken), 'unit.status': '1', 'waits.status': '137' },
      'unit',
      'waits',
    );
    expect({ status, last }).toEqual({ status: 1, last: '1 passed, 2 failed, 0 skipped' });
    expect(names).toEqual(['failed: unit: test/unit/b.test.ts (could not be run)']);
  });
});
