/** Behind `scripts/prisma migration` and `scripts/prisma check`; never used by the running server. */
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { withCharColumns } from './char-columns.js';
import { startEmbeddedPostgres } from './embedded-postgres.js';
import { migrate } from './migrate.js';
import { LOCK_FILE } from './migration-files.js';
import { NO_FILTER, openSchemaEngine } from './schema-engine.js';

const LOCK_TEXT = '# The database these migrations are written for. Do not edit.\nprovider = "postgresql"\n';

/** Runs `work` on a PostgreSQL that is thrown away afterwards, whatever happens. */
async function withScratchPostgres<T>(work: (url: string) => Promise<T>): Promise<T> {
  const dataDir = await mkdtemp(join(tmpdir(), 'code-interpreter-prisma-'));
  const server = await startEmbeddedPostgres({ dataDir, log: () => undefined, durable: false });
  const atExit = (): void => {
    if (server.pid !== undefined) process.kill(server.pid, 'SIGQUIT');
    rmSync(dataDir, { recursive: true, force: true });
  };
  process.once('exit', atExit);
  try {
    return await work(server.url);
  } finally {
    await server.stop();
    process.removeListener('exit', atExit);
    await rm(dataDir, { recursive: true, force: true });
  }
}

/**
 * The SQL that leads from the migrations in `prismaDir` to its `schema.prisma`; '' when they agree.
 * `url` names an empty database, which afterwards holds what the migrations make.
 */
export async function diffSchema(prismaDir: string, url: string): Promise<string> {
  const migrationsDir = join(prismaDir, 'migrations');
  const files = [
    {
      path: join(prismaDir, 'schema.prisma'),
      content: await readFile(join(prismaDir, 'schema.prisma'), 'utf8'),
    },
  ];
  await mkdir(migrationsDir, { recursive: true });
  await migrate({ url, migrationsDir });
  const pool = new pg.Pool({ connectionString: url });
  const engine = await openSchemaEngine(withCharColumns(pool));
  try {
    const { exitCode, stdout } = await engine.diff({
      from: { tag: 'schemaDatasource', files, configDir: prismaDir },
      to: { tag: 'schemaDatamodel', files },
      script: true,
      exitCode: true,
      filters: NO_FILTER,
    });
    return exitCode === 0 ? '' : (stdout ?? '');
  } finally {
    engine.free();
    await pool.end();
  }
}

/** `20260131T…` without the separators, as Prisma names its folders. */
const stamp = (now: Date): string => now.toISOString().replace(/\D/g, '').slice(0, 14);

async function createMigration(prismaDir: string, name: string, sql: string): Promise<string> {
  const slug = name.toLowerCase().replace(/[^a-z0-9]+/g, '_');
  const folder = join(prismaDir, 'migrations', `${stamp(new Date())}_${slug}`);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'migration.sql'), sql);
  await writeFile(join(prismaDir, 'migrations', LOCK_FILE), LOCK_TEXT);
  return join(folder, 'migration.sql');
}

/** The command line; returns the exit code and prints for a person. */
export async function runMigrationTool(args: readonly string[], prismaDir: string): Promise<number> {
  const [verb, name] = args;
  const sql = await withScratchPostgres((url) => diffSchema(prismaDir, url));
  if (verb === 'check') {
    if (sql === '') return 0;
    console.error(
      `The migrations do not lead to schema.prisma; missing:\n\n${sql}\nRun scripts/prisma migration NAME.`,
    );
    return 1;
  }
  if (sql === '') {
    console.error('schema.prisma has not changed since the last migration.');
    return 0;
  }
  console.log(await createMigration(prismaDir, name ?? 'change', sql));
  return 0;
}
