/** Libraries that people build on, each with one run of the code interpreter; their programs are in test/sdk. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { useModelServer } from './model-server.js';

const models = useModelServer();
const TIME_LIMIT_MS = 220_000;

/** With the packages of test/sdk/package-lock.json; `npm test` makes it. */
const FOLDER = process.env['TEST_SDK_DIR'] ?? resolve(import.meta.dirname, '../../data/test-sdk');

/** The fake model obeys: it runs the code, tells what was printed, and links the file. */
const CODE = "x = 42; print(x); n = open('/mnt/data/out.csv', 'w').write('a,b')";
const PROMPT = `Run this:\n\`\`\`python\n${CODE}\n\`\`\``;
const FOLLOW_UP = 'And this:\n```python\nprint(x + 1)\n```';
const TEXT = 'Result: 42\n[out.csv](sandbox:/mnt/data/out.csv)';
const NEXT = 'Result: 43';

interface Call {
  readonly [field: string]: unknown;
}

async function runProgram<T>(name: string): Promise<T> {
  if (!existsSync(join(FOLDER, 'node_modules')))
    throw new Error(`${FOLDER} is missing. Run: npm test -- contract`);
  const env = {
    PATH: process.env['PATH'],
    OPENAI_BASE_URL: models.project.server.url,
    OPENAI_API_KEY: models.project.key,
    MODEL: 'loop',
    PROMPT,
    FOLLOW_UP,
  };
  const run = promisify(execFile)(process.execPath, [join(FOLDER, name)], { env, timeout: TIME_LIMIT_MS });
  const { stdout } = await run.catch((error: { stderr?: string }) => {
    throw new Error(`${name}: ${error.stderr ?? String(error)}`);
  });
  return JSON.parse(stdout) as T;
}

describe('the code interpreter through', () => {
  it('the OpenAI Agents SDK', async () => {
    const result = await runProgram<{
      text: string;
      calls: readonly Call[];
      streamed: { text: string; final: string; calls: readonly Call[] };
      next: { text: string; calls: readonly Call[] };
    }>('agents.mjs');
    expect(result.text).toBe(TEXT);
    expect(result.calls).toMatchObject([
      { name: 'code_interpreter_call', type: 'code_interpreter_call', code: `${CODE}\n` },
    ]);
    expect(result.streamed).toMatchObject({ text: TEXT, final: TEXT });
    expect(result.streamed.calls).toHaveLength(1);
    expect(result.next.text).toBe(NEXT);
    expect(result.next.calls[0]!['container_id']).toBe(result.calls[0]!['container_id']);
  });

  it('the Vercel AI SDK', async () => {
    const result = await runProgram<{
      text: string;
      calls: readonly { toolName: string; input: Call }[];
      results: readonly { outputs: readonly Call[] }[];
      sources: readonly string[];
      streamed: Call;
      next: { text: string };
      usage: { totalTokens: number };
    }>('ai-sdk.mjs');
    expect(result.text).toBe(TEXT);
    expect(result.calls).toMatchObject([{ toolName: 'code_interpreter', input: { code: `${CODE}\n` } }]);
    expect(result.results).toMatchObject([{ outputs: [{ type: 'logs', logs: '42\n' }] }]);
    expect(result.sources).toEqual(['out.csv']);
    expect(result.streamed).toMatchObject({ text: TEXT, results: result.results, sources: ['out.csv'] });
    expect(result.next.text).toBe(NEXT);
    expect(result.usage.totalTokens).toBeGreaterThan(0);
  });

  it('LangChain', async () => {
    const result = await runProgram<{
      text: string;
      calls: readonly Call[];
      annotations: readonly Call[];
      usage: { total_tokens: number };
      streamed: { text: string };
      next: { text: string; calls: readonly Call[] };
    }>('langchain.mjs');
    expect(result.text).toBe(TEXT);
    expect(result.calls).toMatchObject([
      { type: 'code_interpreter_call', status: 'completed', code: `${CODE}\n` },
    ]);
    expect(JSON.stringify(result.annotations)).toContain('out.csv');
    expect(result.usage.total_tokens).toBeGreaterThan(0);
    expect(result.streamed.text).toBe(TEXT);
    expect(result.next.text).toBe(NEXT);
    expect(result.next.calls[0]!['container_id']).toBe(result.calls[0]!['container_id']);
  });
});
