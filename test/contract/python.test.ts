/** The contract through the official Python client; its tests are in python/. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { newProject, useProject } from '../support/project.js';

const project = useProject();
const FILE = join(import.meta.dirname, 'python/test_contract.py');
const TIME_LIMIT_MS = 300_000;

/** With the packages of test/python/requirements.lock; `npm test` makes it. */
const PYTHON = process.env['TEST_PYTHON'] ?? resolve(import.meta.dirname, '../../data/test-venv/bin/python');

function run(otherKey: string): Promise<{ code: number | null; output: string }> {
  const child = spawn(PYTHON, [FILE, '-v'], {
    env: {
      PATH: process.env['PATH'],
      OPENAI_BASE_URL: project.server.url,
      OPENAI_API_KEY: project.key,
      OTHER_API_KEY: otherKey,
      PYTHONDONTWRITEBYTECODE: '1',
    },
    timeout: TIME_LIMIT_MS,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  return new Promise((done, fail) => {
    child.on('error', fail);
    child.on('close', (code) => done({ code, output }));
  });
}

describe('the Python client', () => {
  let result = { code: null as number | null, output: '' };
  beforeAll(async () => {
    if (!existsSync(PYTHON)) throw new Error(`${PYTHON} is missing. Run: npm test -- contract`);
    result = await run(await newProject(project.server, 'other'));
  }, TIME_LIMIT_MS + 10_000);

  it('passes every test', () => {
    const failures = result.output.slice(result.output.indexOf('\n====='));
    expect(result.code, failures).toBe(0);
  });

  it('ran them all', () => {
    expect(result.output).toMatch(/^Ran (3[0-9]|[4-9][0-9]) tests in /m);
    expect(result.output).not.toMatch(/skipped=/);
  });
});
