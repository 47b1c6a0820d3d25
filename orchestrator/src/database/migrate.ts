/**
 * Brings the database up to the data model of this version. Called once at boot, before anything
 * else uses the database, and safe when several processes boot at once.
 *
 * All pending migrations, their records and the lock that keeps others waiting share one transaction
 * on one connection: a crash or an error at any moment leaves the database as it was. So migrations
 * must not hold statements that refuse to run in a transaction, such as CREATE INDEX CONCURRENTLY.
 */
import { join } from 'node:path';
import pg from 'pg';
import { lockKey } from './advisory-lock.js';
import { type Migration, PRISMA_DIR, readMigrations } from './migration-files.js';
import { type AppliedMigration, pendingMigrations } from './migration-ledger.js';
import { migrationList, NO_FILTER, openSchemaEngine } from './schema-engine.js';
import { withWholeScripts } from './whole-scripts.js';

export interface MigrateOptions {
  /** `postgresql://` URL of a role that may create tables in the schema `public`. */
  readonly url: string;
  /** Another folder than `prisma/migrations`, for tests. */
  readonly migrationsDir?: string;
}

export interface MigrateResult {
  /** Names, in the order of their application; empty when there was nothing to do. */
  readonly applied: readonly string[];
}

/** A busy machine may take long over the first connection; that is no reason not to start. */
const CONNECT_TIMEOUT_MS = 30_000;

/** Runs `work` on one connection; no idle time keeps it the same one all along. */
async function withOneConnection<T>(url: string, work: (pool: pg.Pool) => Promise<T>): Promise<T> {
  const pool = new pg.Pool({
    connectionString: url,
    max: 1,
    idleTimeoutMillis: 0,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    application_name: 'code-interpreter-migrate',
  });
  pool.on('error', () => undefined);
  try {
    return await work(pool);
  } finally {
    await pool.end();
  }
}

async function readApplied(pool: pg.Pool): Promise<readonly AppliedMigration[]> {
  const { rows: found } = await pool.query<{ exists: boolean }>(
    `SELECT to_regclass('_prisma_migrations') IS NOT NULL AS exists`,
  );
  if (!found[0]?.exists) return [];
  const { rows } = await pool.query<AppliedMigration>(
    `SELECT migration_name AS name, checksum, finished_at IS NOT NULL AS finished
       FROM _prisma_migrations WHERE rolled_back_at IS NULL`,
  );
  return rows;
}

/** The engine's message goes on with its own call stack, which helps nobody here. */
function explain(error: unknown): Error {
  const message = error instanceof Error ? error.message : String(error);
  const name = /migration_name="([^"]+)"/.exec(message)?.[1] ?? 'one of them';
  const cause = message
    .split(/\n\s*0: /)[0]!
    .replace('external connector error\n', '')
    .trim();
  return new Error(
    `The migrations could not be applied (${name}); the database was left as it was. ${cause}`,
    {
      cause: error,
    },
  );
}

async function applyAll(
  pool: pg.Pool,
  folder: string,
  all: readonly Migration[],
): Promise<readonly string[]> {
  const engine = await openSchemaEngine(withWholeScripts(pool));
  try {
    const { appliedMigrationNames } = await engine.applyMigrations({
      migrationsList: migrationList(folder, all),
      filters: NO_FILTER,
    });
    return appliedMigrationNames;
  } catch (error) {
    throw explain(error);
  } finally {
    engine.free();
  }
}

async function migrateLocked(
  pool: pg.Pool,
  folder: string,
  all: readonly Migration[],
): Promise<readonly string[]> {
  await pool.query('BEGIN');
  try {
    await pool.query('SELECT pg_advisory_xact_lock($1::bigint)', [lockKey('migrate')]);
    // Somebody else may have done it while we waited.
    const pending = pendingMigrations(all, await readApplied(pool));
    const applied = pending.length === 0 ? [] : await applyAll(pool, folder, all);
    await pool.query('COMMIT');
    return applied;
  } catch (error) {
    await pool.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** Throws a sentence for the operator when the database cannot be reached or brought up to date. */
export async function migrate(options: MigrateOptions): Promise<MigrateResult> {
  const folder = options.migrationsDir ?? join(PRISMA_DIR, 'migrations');
  const all = await readMigrations(folder);
  return withOneConnection(options.url, async (pool) => {
    if (pendingMigrations(all, await readApplied(pool)).length === 0) return { applied: [] };
    return { applied: await migrateLocked(pool, folder, all) };
  });
}
