/** The migrations on disk: `prisma/migrations/<time>_<name>/migration.sql`. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Migration {
  /** The folder's name; migrations are applied in its order. */
  readonly name: string;
  readonly sql: string;
  /** SHA-256 of the file, hex, as Prisma records it. */
  readonly checksum: string;
}

export const LOCK_FILE = 'migration_lock.toml';

/** The same three steps up lead to the root from `src/database` and from `dist/database`. */
export const PRISMA_DIR = fileURLToPath(new URL('../../../prisma', import.meta.url));

async function readMigration(folder: string, name: string): Promise<Migration> {
  const bytes = await readFile(join(folder, name, 'migration.sql'));
  return { name, sql: bytes.toString('utf8'), checksum: createHash('sha256').update(bytes).digest('hex') };
}

/** Sorted by name. Throws when the folder, or the file in one of its folders, is missing. */
export async function readMigrations(folder: string): Promise<readonly Migration[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw new Error(`The migrations are missing: ${folder} cannot be read. Is the installation complete?`, {
      cause: error,
    });
  });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(names.sort().map((name) => readMigration(folder, name)));
}
