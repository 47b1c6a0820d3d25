/** The supervisor by itself imports what the server tells it to by default. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parseEnv } from '../../../orchestrator/src/config/env.js';

const OPTIONS = new URL('../../../sandbox/supervisor/options.py', import.meta.url);

it('has one default for what Python has imported', () => {
  const [, names] = /^ {4}preload: str = "([^"]*)"$/m.exec(readFileSync(OPTIONS, 'utf8'))!;
  expect(names!.split(',')).toEqual(parseEnv({}).SANDBOX_PRELOAD);
});

it.each([
  ['none', []],
  ['polars', ['polars']],
  ['numpy,scipy.stats', ['numpy', 'scipy.stats']],
])('takes %s', (value, names) => {
  expect(parseEnv({ SANDBOX_PRELOAD: value }).SANDBOX_PRELOAD).toEqual(names);
});

it.each(['.numpy', 'numpy,', 'numpy pandas', 'os;x', '1a'])('refuses %s, and says what it takes', (value) => {
  expect(() => parseEnv({ SANDBOX_PRELOAD: value })).toThrow(/SANDBOX_PRELOAD: expected names such as/);
});
