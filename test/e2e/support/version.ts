/** Which n8n a run of the tests is about: the tier `e2e-1.123` runs in that of test/e2e/n8n/1.123. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface N8nVersion {
  /** The folder of its lock file: `newest`, `1.123`. */
  readonly name: string;
  /** Where it is installed. */
  readonly folder: string;
  readonly major: number;
  readonly minor: number;
}

/** By the name of the tier. Throws when `scripts/test` did not say where it is installed. */
export function n8nOf(tier: string): N8nVersion {
  const name = tier === 'e2e' ? 'newest' : tier.replace(/^e2e-/, '');
  const variable = `TEST_N8N_${name.toUpperCase().replaceAll('.', '_')}`;
  const folder = process.env[variable];
  if (folder === undefined)
    throw new Error(`${variable} is not set; run these tests by: npm test -- ${tier}`);
  const { version } = JSON.parse(readFileSync(join(folder, 'node_modules/n8n/package.json'), 'utf8')) as {
    readonly version: string;
  };
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return { name, folder, major, minor };
}
