/** The only place that reads the environment. Every variable may come from a file: `NAME_FILE=/path`. */
import { readFileSync } from 'node:fs';
import { type Env, envSchema } from './env.schema.js';

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

/** Parses the environment, or throws one message that names every wrong variable and what it should be. */
export function parseEnv(source: Source): Env {
  const values: Record<string, string> = {};
  for (const name of Object.keys(envSchema.shape)) {
    const file = source[`${name}_FILE`];
    const value = source[name] ?? (file ? readSecretFile(name, file) : undefined);
    if (value !== undefined && value !== '') values[name] = value;
  }
  const result = envSchema.safeParse(values);
  if (result.success) return result.data;
  const lines = result.error.issues.map((issue) => `  ${issue.path.join('.')}: ${issue.message}`);
  throw new Error(`The configuration is not usable:\n${lines.join('\n')}\nSee docs/configuration.md.`);
}

export const loadEnv = (): Env => parseEnv(process.env);
