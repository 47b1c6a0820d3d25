/** The Python client against a model that is scripted; its tests are in python/test_model.py. */
import { beforeAll, describe, expect, it } from 'vitest';
import { useModelServer } from './model-server.js';
import { failuresOf, PYTHON_TIME_LIMIT_MS, type PythonResult, runPythonTests } from './python-client.js';

const models = useModelServer();

describe('the Python client and a scripted model', () => {
  let result: PythonResult = { code: null, output: '' };
  beforeAll(async () => {
    result = await runPythonTests('test_model.py', {
      OPENAI_BASE_URL: models.project.server.url,
      OPENAI_API_KEY: models.project.key,
      MODEL_CONTROL_URL: new URL('/control', models.fake.url).href,
    });
  }, PYTHON_TIME_LIMIT_MS + 10_000);

  it('passes every test', () => {
    expect(result.code, failuresOf(result)).toBe(0);
  });

  it('ran them all', () => {
    expect(result.output).toMatch(/^Ran (1[5-9]|[2-9][0-9]) tests in /m);
    expect(result.output).not.toMatch(/skipped=/);
  });
});
