/** Keys that the first start makes up are kept in files only their owner can read. */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { newSecret, type SecretKind } from './secrets.js';

/** The key kept in `<dir>/<name>`, made on first call. */
export function keepKey(dir: string, name: string, prefix: SecretKind): string {
  const path = join(dir, name);
  if (existsSync(path)) {
    const kept = readFileSync(path, 'utf8').trim();
    if (kept !== '') return kept;
  }
  const secret = newSecret(prefix);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${secret}\n`, { mode: 0o600 });
  chmodSync(path, 0o600);
  return secret;
}
