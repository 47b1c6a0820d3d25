/** The recipes of docs/models.md are what the server accepts: each block is read as the server reads it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseEnv } from '../../../orchestrator/src/config/env.js';

const PAGE = readFileSync(join(import.meta.dirname, '../../../docs/models.md'), 'utf8');
const SERVERS = [
  'OpenAI',
  'Ollama',
  'vLLM',
  'llama.cpp',
  'LM Studio',
  'LiteLLM',
  'OpenRouter',
  'Yandex AI Studio',
  'OCI Generative AI',
];

interface Block {
  readonly section: string;
  readonly language: string;
  readonly text: string;
}

/** Fenced blocks with the heading they stand below. */
function blocksOf(page: string): Block[] {
  let section = '';
  const blocks: Block[] = [];
  for (const match of page.matchAll(/^#{2,3} (.+)$|^```(\w+)\n([\s\S]*?)^```$/gm)) {
    if (match[1] !== undefined) section = match[1];
    else blocks.push({ section, language: match[2]!, text: match[3]! });
  }
  return blocks;
}

const BLOCKS = blocksOf(PAGE);

/** `NAME=value   # comment` lines of a shell block; other commands are none of the server's. */
const variablesOf = (text: string): Record<string, string> =>
  Object.fromEntries(
    [...text.matchAll(/^([A-Z_]+)=(.*?)(?:\s+#.*)?$/gm)].map((match) => [match[1]!, match[2]!]),
  );

/** Every variable that a list names as holding a key. */
const keysOf = (text: string): Record<string, string> =>
  Object.fromEntries(
    [...text.matchAll(/"api_key_env": "(\w+)"/g)].map((match) => [match[1]!, 'sk-some-key']),
  );

describe('docs/models.md', () => {
  it('has a recipe for every common model server', () => {
    const told = new Set(BLOCKS.map(({ section }) => section));
    expect(SERVERS.filter((server) => !told.has(server))).toEqual([]);
  });

  it.each(BLOCKS.filter(({ language }) => language === 'json'))(
    '$section: a list of providers',
    ({ text }) => {
      const { MODEL_PROVIDERS } = parseEnv({ MODEL_PROVIDERS: text, ...keysOf(text) });
      expect(MODEL_PROVIDERS.length).toBeGreaterThan(0);
      for (const { models, discover } of MODEL_PROVIDERS) expect(models.length > 0 || discover).toBe(true);
    },
  );

  const shell = BLOCKS.filter(
    ({ language, text }) => language === 'sh' && Object.keys(variablesOf(text)).length > 0,
  );

  it.each(shell)('$section: variables', ({ text }) => {
    const variables = variablesOf(text);
    expect(Object.keys(variables).filter((name) => !/^(OPENAI_|MODEL)/.test(name))).toEqual([]);
    expect(parseEnv(variables).MODEL_PROVIDERS).toHaveLength(1);
  });
});
