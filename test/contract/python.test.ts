/** The contract through the official Python client; its tests are in python/. */
import { beforeAll, describe, expect, it } from 'vitest';
import { newProject, useProject } from '../support/project.js';
import { failuresOf, PYTHON_TIME_LIMIT_MS, type PythonResult, runPythonTests } from './python-client.js';

const project = useProject();

describe('the Python client', () => {
  let result: PythonResult = { code: null, output: '' };
  beforeAll(async () => {
    result = await runPythonTests('test_contract.py', {
      OPENAI_BASE_URL: project.server.url,
      OPENAI_API_KEY: project.key,
      OTHER_API_KEY: await newProject(project.server, 'other'),
    });
  }, PYTHON_TIME_LIMIT_MS + 10_000);

  it('passes every test', () => {
    expect(result.code, failuresOf(result)).toBe(0);
  });

  it('ran them all', () => {
    expect(result.output).toMatch(/^Ran (4[0-9]|[5-9][0-9]) tests in /m);
    expect(result.output).not.toMatch(/skipped=/);
  });
});
