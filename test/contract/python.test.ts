/** The contract through the official Python client; its tests are in python/. */
import { beforeAll, describe, expect, it } from 'vitest';
import { newProject, useProject } from '../support/project.js';
import { failuresOf, PYTHON_TIME_LIMIT_MS, type PythonResult, runPythonTests } from './python-client.js';

const project = useProject();

/** Each with the fewest tests that it has: less means that something was not run. */
const FILES = [
  ['test_contract.py', 35],
  ['test_responses.py', 10],
] as const;

describe.each(FILES)('the Python client: %s', (file, least) => {
  let result: PythonResult = { code: null, output: '' };
  beforeAll(async () => {
    result = await runPythonTests(file, {
      OPENAI_BASE_URL: project.server.url,
      OPENAI_API_KEY: project.key,
      OTHER_API_KEY: await newProject(project.server, 'other'),
    });
  }, PYTHON_TIME_LIMIT_MS + 10_000);

  it('passes every test', () => {
    expect(result.code, failuresOf(result)).toBe(0);
  });

  it('ran them all', () => {
    expect(Number(/^Ran (\d+) tests in /m.exec(result.output)?.[1])).toBeGreaterThanOrEqual(least);
    expect(result.output).not.toMatch(/skipped=/);
  });
});
