/** Runs a file of Python tests with the official client; `npm test` makes the environment they need. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const PYTHON_TIME_LIMIT_MS = 300_000;

/** With the packages of test/python/requirements.lock; `npm test` makes it. */
const PYTHON = process.env['TEST_PYTHON'] ?? resolve(import.meta.dirname, '../../data/test-venv/bin/python');

export interface PythonResult {
  readonly code: number | null;
  readonly output: string;
}

/** What failed, without what did not. */
export const failuresOf = ({ output }: PythonResult): string => output.slice(output.indexOf('\n====='));

export function runPythonTests(
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<PythonResult> {
  if (!existsSync(PYTHON)) throw new Error(`${PYTHON} is missing. Run: npm test -- contract`);
  const child = spawn(PYTHON, [join(import.meta.dirname, 'python', file), '-v'], {
    env: { PATH: process.env['PATH'], PYTHONDONTWRITEBYTECODE: '1', ...env },
    timeout: PYTHON_TIME_LIMIT_MS,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  return new Promise((done, fail) => {
    child.on('error', fail);
    child.on('close', (code) => done({ code, output }));
  });
}
