import { join } from 'node:path';
import type { Env } from './config/env.schema.js';

/** The lines a person reads after `npm start`: where it is, where the key is, one thing to try. */
export function greeting(facts: { env: Env; url: string; dataDir: string; key: string }): string {
  const { env, url, dataDir } = facts;
  const keyFile = join(dataDir, 'api-key');
  const key = env.API_KEY === undefined ? `$(cat ${keyFile})` : '$API_KEY';
  const body = JSON.stringify({
    model: 'python',
    tools: [{ type: 'code_interpreter', container: { type: 'auto' } }],
    input: 'print(sum(range(101)))',
  });
  return [
    '',
    `Code Interpreter is listening on ${url}`,
    env.API_KEY === undefined ? `API key:   ${keyFile}` : 'API key:   the one in API_KEY',
    env.ADMIN_KEY === undefined
      ? `Admin key: ${join(dataDir, 'admin-key')}`
      : 'Admin key: the one in ADMIN_KEY',
    '',
    'Try it:',
    `  curl ${url}/responses -H "Authorization: Bearer ${key}" -H 'Content-Type: application/json' -d '${body}'`,
    '',
    '',
  ].join('\n');
}
