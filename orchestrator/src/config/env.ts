/** The only place that reads the environment. Every variable may come from a file: `NAME_FILE=/path`. */
import { readFileSync } from 'node:fs';
import { type Env, envSchema } from './env.schema.js';
import { resolveProviders } from './model-providers.js';

type Source = Readonly<Record<string, string | undefined>>;

function readSecretFile(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new Error(`${name}_FILE names ${path}, which cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** The variable, or what the file holds that NAME_FILE names. */
function valueOf(source: Source, name: string): string | undefined {
  const file = source[`${name}_FILE`];
  return source[name] ?? (file ? readSecretFile(name, file) : undefined);
}

const unusable = (lines: readonly string[]): Error =>
  new Error(`The configuration is not usable:\n${lines.join('\n')}\nSee docs/configuration.md.`);

/** Parses the environment, or throws one message that names every wrong variable and what it should be. */
export function parseEnv(source: Source): Env {
  const values: Record<string, string> = {};
  for (const name of Object.keys(envSchema.shape)) {
    const value = valueOf(source, name);
    if (value !== undefined && value !== '') values[name] = value;
  }
  const result = envSchema.safeParse(values);
  if (!result.success)
    throw unusable(result.error.issues.map((issue) => `  ${issue.path.join('.')}: ${issue.message}`));
  const { providers, problems } = resolveProviders(result.data, (name) => valueOf(source, name));
  if (problems.length > 0) throw unusable(problems.map((problem) => `  ${problem}`));
  return { ...result.data, MODEL_PROVIDERS: providers };
}

export const loadEnv = (): Env => parseEnv(process.env);
