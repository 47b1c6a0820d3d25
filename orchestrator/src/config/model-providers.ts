/**
 * Which model endpoints there are (docs/models.md). Two ways to say it: MODEL_PROVIDERS, a JSON list,
 * or OPENAI_BASE_URL, OPENAI_API_KEY and MODELS for a single one. Used by `env.ts` at boot and by the
 * `llm` room, which builds the adapters.
 */
import { z } from 'zod';

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
/** Node's own fetch gives up on a silent connection after five minutes; more could not be kept. */
const MAX_TIMEOUT_MS = 300_000;

const httpUrl = z
  .url({ protocol: /^https?$/, error: 'expected a URL that begins with http:// or https://' })
  .refine((text) => {
    const { username, password } = new URL(text);
    return username === '' && password === '';
  }, 'must not hold a user name or a password; use api_key or headers');

/** May stand at a provider, for all its models, or at one model. */
const settings = {
  context_tokens: z
    .int()
    .min(256)
    .optional()
    .meta({ description: 'Tokens of input and output together that the model can hold.', unit: 'tokens' }),
  vision: z.boolean().optional().meta({
    description: 'Whether images may be sent to the model. Default false.',
    unit: 'true or false',
  }),
  tools: z.boolean().optional().meta({
    description: 'Whether the model can call functions, which the code interpreter needs. Default true.',
    unit: 'true or false',
  }),
  reasoning_tags: z
    .union([z.boolean(), z.literal('implied')])
    .optional()
    .meta({
      description:
        'Whether the text begins with <think>…</think>; "implied" when the opening tag is left out. Default false.',
      unit: 'true, false or "implied"',
    }),
  reasoning_field: z.enum(['reasoning_content', 'reasoning']).optional().meta({
    description:
      'Field in which the model wants its own reasoning back between tool calls. Default: it is not sent.',
    unit: 'field name',
  }),
  max_tokens_field: z.enum(['max_tokens', 'max_completion_tokens']).optional().meta({
    description:
      'Field that limits the output. Default max_completion_tokens at api.openai.com, max_tokens elsewhere.',
    unit: 'field name',
  }),
  defaults: z.record(z.string(), z.json()).optional().meta({
    description: 'Fields added to every request unless the request sets them, such as temperature.',
    unit: 'JSON object',
  }),
} as const;

const modelEntry = z.strictObject({
  id: z.string().min(1).max(200).meta({
    description:
      'Name under which clients ask for it. One `*` stands for any text: every such name is a model, and none of them is listed.',
    unit: 'text',
  }),
  upstream: z.string().min(1).optional().meta({
    description: 'Name the endpoint knows it by, if that differs. A `*` is what the `*` of `id` stood for.',
    unit: 'text',
  }),
  ...settings,
});

export const modelProviderSchema = z.strictObject({
  name: z
    .string()
    .regex(NAME, 'expected letters, digits, dots, dashes and underscores')
    .meta({ description: 'Shown as the owner of the models and in error messages.', unit: 'name' }),
  base_url: httpUrl.meta({
    description: 'Address of the endpoint up to and without /chat/completions.',
    unit: 'URL',
  }),
  api_key: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'Key sent as a bearer token; none when absent.', unit: 'secret' }),
  api_key_env: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected the name of an environment variable')
    .optional()
    .meta({
      description: 'Environment variable that holds the key (or NAME_FILE, a file that does).',
      unit: 'variable name',
    }),
  models: z
    .array(z.union([z.string().min(1).max(200), modelEntry]))
    .default([])
    .meta({ description: 'Models offered to clients.', unit: 'list of names or objects' }),
  discover: z
    .boolean()
    .default(false)
    .meta({ description: 'Offer everything the endpoint lists at /models as well.', unit: 'true or false' }),
  headers: z
    .record(z.string().regex(/^[A-Za-z0-9-]+$/, 'expected a header name'), z.string())
    .default({})
    .meta({ description: 'Headers sent with every request; they win over ours.', unit: 'JSON object' }),
  timeout_ms: z.int().min(1000).max(MAX_TIMEOUT_MS).default(MAX_TIMEOUT_MS).meta({
    description: 'Longest silence: before the answer begins, and between two pieces of it.',
    unit: 'milliseconds',
  }),
  max_retries: z.int().min(0).max(10).default(2).meta({
    description: 'How often a request is tried again while nothing of its answer was passed on.',
    unit: 'count',
  }),
  ...settings,
});

export type ModelProvider = Readonly<z.output<typeof modelProviderSchema>>;
export type ModelEntry = Readonly<z.output<typeof modelEntry>>;
export type ModelSettings = Pick<ModelEntry, keyof typeof settings>;

/** MODEL_PROVIDERS: JSON text → providers; every fault names its field. */
export const modelProviders = z
  .string()
  .default('[]')
  .transform((text, context) => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      context.addIssue({ code: 'custom', message: 'expected a JSON list of providers' });
      return z.NEVER;
    }
    const parsed = z.array(modelProviderSchema).safeParse(value);
    if (parsed.success) return parsed.data as readonly ModelProvider[];
    for (const { path, message } of parsed.error.issues)
      context.addIssue({ code: 'custom', message, path: [...path] });
    return z.NEVER;
  });

/** MODELS: `a, b` → names. */
export const modelNames = z
  .string()
  .optional()
  .transform((text) =>
    (text ?? '')
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== ''),
  );

const stars = (text: string): number => text.split('*').length - 1;

/** What is wrong with the `*` of a model's names, or null. */
function patternProblem(entry: string | ModelEntry): string | null {
  const { id, upstream = id } = typeof entry === 'string' ? { id: entry } : entry;
  if (stars(id) > 1) return 'id: at most one * is understood';
  if (stars(upstream) > stars(id)) return 'upstream: a * stands for the one of id, which has none';
  return null;
}

interface SimpleForm {
  readonly OPENAI_BASE_URL?: string | undefined;
  readonly OPENAI_API_KEY?: string | undefined;
  readonly MODELS: readonly string[];
}

/** The one provider of the simple form, or nothing. Without MODELS it offers what the endpoint lists. */
function simpleProvider(values: SimpleForm): ModelProvider[] {
  if (values.OPENAI_BASE_URL === undefined && values.OPENAI_API_KEY === undefined) return [];
  return [
    modelProviderSchema.parse({
      name: 'openai',
      base_url: values.OPENAI_BASE_URL ?? 'https://api.openai.com/v1',
      ...(values.OPENAI_API_KEY === undefined ? {} : { api_key: values.OPENAI_API_KEY }),
      models: [...values.MODELS],
      discover: values.MODELS.length === 0,
    }),
  ];
}

/**
 * All providers with their keys filled in, and what is wrong with them, one sentence each. Called once
 * at boot; `secret` reads a variable or the file that NAME_FILE names.
 */
export function resolveProviders(
  values: SimpleForm & { readonly MODEL_PROVIDERS: readonly ModelProvider[] },
  secret: (name: string) => string | undefined,
): { readonly providers: readonly ModelProvider[]; readonly problems: readonly string[] } {
  const simple = simpleProvider(values);
  const problems: string[] = [];
  if (simple.length === 0 && values.MODELS.length > 0)
    problems.push('MODELS: set OPENAI_BASE_URL or OPENAI_API_KEY too, to say whose models they are');
  const named = values.MODEL_PROVIDERS.map((provider, index) => {
    const at = `MODEL_PROVIDERS.${index}`;
    if (provider.models.length === 0 && !provider.discover)
      problems.push(`${at}.models: name the models, or set discover to true`);
    provider.models.forEach((entry, position) => {
      const problem = patternProblem(entry);
      if (problem !== null) problems.push(`${at}.models.${position}.${problem}`);
    });
    if (provider.api_key !== undefined && provider.api_key_env !== undefined)
      problems.push(`${at}.api_key_env: give api_key or api_key_env, not both`);
    if (provider.api_key_env === undefined) return provider;
    const key = secret(provider.api_key_env);
    if (!key) problems.push(`${at}.api_key_env: the variable ${provider.api_key_env} is not set`);
    return { ...provider, api_key: provider.api_key ?? key };
  });
  const providers = [...simple, ...named];
  providers.forEach(({ name }, index) => {
    if (providers.findIndex((each) => each.name === name) !== index)
      problems.push(
        `MODEL_PROVIDERS: two providers are called '${name}'; the simple form is called 'openai'`,
      );
  });
  return { providers, problems };
}
