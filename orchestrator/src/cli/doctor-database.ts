/** The database: the embedded one, or the one of DATABASE_URL. */
import { join } from 'node:path';
import pg from 'pg';
import type { Env } from '../config/env.schema.js';
import { findPostgres } from '../database/postgres-binaries.js';
import { type Finding, off, ok, problem } from './doctor-report.js';
import { existsSync, readFileSync } from 'node:fs';
import { commandOf } from '../database/process-lock.js';

const CONNECT_TIMEOUT_MS = 5_000;
const NAME = 'database';

/** Without the password. */
function printable(url: string): string {
  try {
    const parsed = new URL(url);
    return `${parsed.host}${parsed.pathname}`;
  } catch {
    return 'DATABASE_URL';
  }
}

async function checkServer(url: string): Promise<Finding[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  try {
    await client.connect();
    const { rows } = await client.query<{ version: string; create: boolean }>(
      `SELECT current_setting('server_version') AS version,
              has_database_privilege(current_database(), 'CREATE') AS create`,
    );
    const { version, create } = rows[0]!;
    if (!create) {
      return [
        problem(
          NAME,
          `the role of ${printable(url)} may not create schemas, which migrations and job queues need`,
          'GRANT CREATE ON DATABASE … TO …',
        ),
      ];
    }
    return [ok(NAME, `PostgreSQL ${version} at ${printable(url)}`)];
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return [
      problem(
        NAME,
        `${printable(url)} does not answer: ${reason}`,
        'check DATABASE_URL, or unset it to use the embedded PostgreSQL',
      ),
    ];
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function checkEmbedded(dataDir: string): Promise<Finding[]> {
  await findPostgres();
  const cluster = join(dataDir, 'postgres', 'cluster');
  if (!existsSync(cluster)) return [off(NAME, 'embedded PostgreSQL; made at first start', 'npm start')];
  if (!existsSync(join(dataDir, 'postgres', 'credentials.json'))) {
    return [
      problem(
        NAME,
        `${dataDir}/postgres/credentials.json is missing, so nobody can log in to the database beside it`,
        'restore that file from a backup',
      ),
    ];
  }
  const pidFile = join(cluster, 'postmaster.pid');
  const pid = existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8').split('\n')[0]) : 0;
  const runs = pid > 0 && (await commandOf(pid)).includes(cluster);
  if (!runs) return [off(NAME, 'embedded PostgreSQL; does not run', 'npm start')];
  return [ok(NAME, `embedded PostgreSQL runs as process ${pid}`)];
}

export function checkDatabase(env: Env, dataDir: string): Promise<Finding[]> {
  return env.DATABASE_URL === undefined ? checkEmbedded(dataDir) : checkServer(env.DATABASE_URL);
}
