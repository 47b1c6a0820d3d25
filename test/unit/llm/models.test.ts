/** Which models a configuration makes, under which names. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { parseEnv } from '../../../orchestrator/src/config/env.js';
import { modelProviderSchema } from '../../../orchestrator/src/config/model-providers.js';
import { ProviderModels } from '../../../orchestrator/src/llm/chat-completions/model-source.js';
import { type Model, ModelRegistry, type ModelSource } from '../../../orchestrator/src/llm/model.registry.js';
import { pythonModels } from '../../../orchestrator/src/llm/python/python.models.js';
import { ModelEndpoint } from '../../fakes/model-endpoint/server.js';

const provider = (change: Record<string, unknown> = {}) => ({
  name: 'p',
  base_url: 'http://127.0.0.1:9/v1',
  models: ['m'],
  ...change,
});
const env = (list: unknown, rest: Record<string, string> = {}) =>
  parseEnv({ MODEL_PROVIDERS: JSON.stringify(list), ...rest });

describe('the configuration', () => {
  it('is empty without a word', () => {
    expect(parseEnv({}).MODEL_PROVIDERS).toEqual([]);
  });

  it('has a simple form', () => {
    const { MODEL_PROVIDERS } = parseEnv({
      OPENAI_BASE_URL: 'http://localhost:11434/v1',
      MODELS: 'qwen3:8b, llama3.2',
    });
    expect(MODEL_PROVIDERS).toMatchObject([
      {
        name: 'openai',
        base_url: 'http://localhost:11434/v1',
        models: ['qwen3:8b', 'llama3.2'],
        discover: false,
        max_retries: 2,
      },
    ]);
    expect(parseEnv({ OPENAI_API_KEY: 'k' }).MODEL_PROVIDERS).toMatchObject([
      { base_url: 'https://api.openai.com/v1', api_key: 'k', discover: true, models: [] },
    ]);
  });

  it('takes keys from other variables', () => {
    const [first] = env([provider({ api_key_env: 'SOME_KEY' })], { SOME_KEY: 'secret' }).MODEL_PROVIDERS;
    expect(first!.api_key).toBe('secret');
  });

  it.each<[string, unknown, RegExp]>([
    ['no JSON', 'nonsense', /MODEL_PROVIDERS: expected a JSON list/],
    ['no name', [{ base_url: 'http://a/v1', models: ['m'] }], /MODEL_PROVIDERS\.0\.name/],
    ['a wrong URL', [provider({ base_url: 'ftp://a' })], /MODEL_PROVIDERS\.0\.base_url: expected a URL/],
    ['a password in the URL', [provider({ base_url: 'http://a:b@c/v1' })], /base_url: must not hold/],
    ['a field nobody knows', [provider({ modles: [] })], /MODEL_PROVIDERS\.0: Unrecognized key: "modles"/],
    ['a wrong model', [provider({ models: [{ id: 'm', vision: 'yes' }] })], /MODEL_PROVIDERS\.0\.models\.0/],
    ['two stars', [provider({ models: ['a*b*'] })], /MODEL_PROVIDERS\.0\.models\.0\.id: at most one \*/],
    [
      'a star for nothing',
      [provider({ models: [{ id: 'm', upstream: 'x*' }] })],
      /MODEL_PROVIDERS\.0\.models\.0\.upstream: a \* stands for/,
    ],
    ['no models', [provider({ models: [] })], /MODEL_PROVIDERS\.0\.models: name the models, or set discover/],
    ['a missing key', [provider({ api_key_env: 'NOT_SET' })], /api_key_env: the variable NOT_SET is not set/],
    ['two keys', [provider({ api_key: 'a', api_key_env: 'PATH' })], /api_key or api_key_env, not both/],
    ['one name twice', [provider(), provider()], /two providers are called 'p'/],
    ['too much patience', [provider({ timeout_ms: 900_000 })], /MODEL_PROVIDERS\.0\.timeout_ms/],
  ])('refuses %s', (_, list, message) => {
    expect(() =>
      list === 'nonsense' ? parseEnv({ MODEL_PROVIDERS: list }) : env(list, { PATH: 'x' }),
    ).toThrow(message);
  });

  it('is explained, field by field', () => {
    const page = readFileSync(join(import.meta.dirname, '../../../docs/models.md'), 'utf8');
    for (const [name, field] of Object.entries(modelProviderSchema.shape)) {
      expect(page, name).toContain(`| \`${name}\` `);
      expect(field.meta(), name).toMatchObject({ description: expect.any(String), unit: expect.any(String) });
    }
  });

  it('refuses models that belong to nobody', () => {
    expect(() => parseEnv({ MODELS: 'a' })).toThrow(/MODELS: set OPENAI_BASE_URL/);
  });
});

const source = (
  name: string,
  configured: readonly string[],
  discovered: readonly string[] = [],
): ModelSource => {
  const make = (id: string): Model => ({ ...pythonModels.configured[0]!, id, ownedBy: name });
  return { name, configured: configured.map(make), discovered: async () => discovered.map(make) };
};

describe('names', () => {
  const registry = new ModelRegistry(
    pythonModels,
    [source('a', ['one', 'both', 'python'], ['two', 'found']), source('b', ['both', 'x/y'], ['one', 'two'])],
    { defaultModel: 'one' },
  );

  it('are as configured, and longer where two have the same', async () => {
    expect((await registry.list()).map(({ id }) => id)).toEqual([
      'python',
      'one',
      'a/both',
      'a/python',
      'b/both',
      'x/y',
      'a/two',
      'found',
      'b/one',
      'b/two',
      'default',
    ]);
  });

  it.each([
    ['python', 'code-interpreter'],
    ['one', 'a'],
    ['a/one', 'a'],
    ['b/one', 'b'],
    ['b/both', 'b'],
    ['x/y', 'b'],
    ['b/x/y', 'b'],
    ['found', 'a'],
    ['a/found', 'a'],
    ['default', 'a'],
  ])('%s is found at %s', async (id, owner) => {
    expect(await registry.find(id)).toMatchObject({ ownedBy: owner });
  });

  it.each(['both', 'two', 'a/x/y', 'nobody', 'c/one', ''])('%s is not found', async (id) => {
    expect(await registry.find(id)).toBeNull();
  });
});

describe('discovery', () => {
  let fake: ModelEndpoint | undefined;
  afterEach(async () => fake?.stop());
  const models = (change: Record<string, unknown>) =>
    new ProviderModels(env([provider(change)]).MODEL_PROVIDERS[0]!);

  it('adds what the endpoint lists, once', async () => {
    fake = await new ModelEndpoint({ models: ['m', 'other'] }).start();
    const found = models({
      base_url: fake.url,
      discover: true,
      vision: true,
      models: [{ id: 'm', vision: false }],
    });
    expect(found.configured).toMatchObject([{ id: 'm', vision: false, tools: true }]);
    expect(await found.discovered(1000)).toMatchObject([
      { id: 'other', vision: true, createdAt: 1_764_000_000 },
    ]);
    await fake.stop();
    fake = undefined;
    expect(await found.discovered(1000)).toHaveLength(1);
  });

  it('is not done unless asked for', async () => {
    expect(await models({}).discovered(1000)).toEqual([]);
  });

  it('does without an endpoint that is gone', async () => {
    expect(await models({ discover: true }).discovered(500)).toEqual([]);
  });

  it('does not wait for an endpoint that is silent', async () => {
    let asked = 0;
    const silent = createServer(() => void (asked += 1)).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    try {
      const found = models({ base_url: `http://127.0.0.1:${port}/v1`, discover: true });
      expect(await found.discovered(500)).toEqual([]);
      expect(asked).toBe(1);
    } finally {
      silent.closeAllConnections();
      silent.close();
    }
  });
});

describe('patterns', () => {
  const registry = (...models: unknown[]) =>
    new ModelRegistry(pythonModels, [
      new ProviderModels(modelProviderSchema.parse(provider({ models, context_tokens: 1_000 }))),
    ]);
  const upstreamOf = (model: Model | null): unknown =>
    (model?.llm as unknown as { settings: { upstream: string } } | undefined)?.settings.upstream;

  it.each([
    ['gpt://*', undefined, 'gpt://b1g/yandexgpt/latest', 'gpt://b1g/yandexgpt/latest'],
    ['gpt://*/latest', 'models/*', 'gpt://b1g/yandexgpt/latest', 'models/b1g/yandexgpt'],
    ['gpt://*/yandexgpt/latest', 'yandexgpt', 'gpt://any/yandexgpt/latest', 'yandexgpt'],
    ['gpt://*', undefined, 'p/gpt://x', 'gpt://x'],
    ['a*', '$&*', 'a$1', '$&$1'],
    ['gpt://*', undefined, 'gpt://', undefined],
    ['ab*ba', undefined, 'aba', undefined],
    ['gpt://*', undefined, 'xgpt://y', undefined],
    ['gpt://*', undefined, `gpt://${'x'.repeat(300)}`, undefined],
  ])('%s with upstream %s: %s is %s', async (id, upstream, asked, expected) => {
    const model = await registry({ id, ...(upstream === undefined ? {} : { upstream }) }).find(asked);
    expect(upstreamOf(model)).toBe(expected);
    if (expected !== undefined) expect(model).toMatchObject({ id: asked, contextTokens: 1_000 });
  });

  it('come after names, in their order, and are in no list', async () => {
    const models = registry({ id: '*', upstream: 'any' }, 'b-*', 'a-1');
    expect(upstreamOf(await models.find('a-1'))).toBe('a-1');
    expect(upstreamOf(await models.find('b-1'))).toBe('any');
    expect((await models.find('python'))?.ownedBy).toBe('code-interpreter');
    expect((await models.list()).map(({ id }) => id)).toEqual(['python', 'a-1', 'default']);
  });
});

describe('the model `default`', () => {
  const idOf = async (sources: readonly ModelSource[], defaultModel?: string) => {
    const registry = new ModelRegistry(pythonModels, sources, { defaultModel });
    const model = await registry.find('default');
    const listed = (await registry.list()).filter(({ id }) => id === 'default');
    expect(listed.map(({ ownedBy }) => ownedBy)).toEqual(model ? [model.ownedBy] : []);
    return model?.id;
  };
  const speechless = source('s', ['mute', 'able']);
  const mute: ModelSource = {
    ...speechless,
    configured: speechless.configured.map((model) => ({ ...model, tools: model.id !== 'mute' })),
  };

  it.each<[string, readonly ModelSource[], string | undefined, string | undefined]>([
    ['the built-in one where there is no endpoint', [], undefined, 'python'],
    ['the first one that is configured', [source('a', ['one', 'two'], ['three'])], undefined, 'one'],
    ['the first one that can run code', [mute], undefined, 'able'],
    ['the only one that an endpoint lists', [source('a', [], ['only'])], undefined, 'only'],
    ['none of many that an endpoint lists', [source('a', [], ['four', 'five'])], undefined, undefined],
    ['none of an endpoint that lists nothing', [source('a', [])], undefined, undefined],
    ['what the operator named', [source('a', ['one', 'two'])], 'two', 'two'],
    ['what the operator named by its provider', [source('a', ['one', 'two'])], 'a/two', 'a/two'],
    ['what the operator named, though listed only', [source('a', ['one'], ['two'])], 'two', 'two'],
    ['nothing where the operator named what is not there', [source('a', ['one'])], 'gone', undefined],
    ['a model that is called so', [source('a', ['one', 'default'])], undefined, 'default'],
    [
      'itself, where the operator named it and nothing is called so',
      [source('a', ['one'])],
      'default',
      undefined,
    ],
  ])('is %s', async (_, sources, named, id) => {
    expect(await idOf(sources, named)).toBe(id);
  });
});
