/**
 * A database of its own for each test file, on one PostgreSQL that all test processes of this user
 * share. The server starts with the first that asks and stops with the last that lets go; its folder
 * stays in the temporary directory, so that the next run need not create it.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../orchestrator/src/database/embedded-postgres.js';
import { migrate } from '../../orchestrator/src/database/migrate.js';
import { PRISMA_DIR, readMigrations } from '../../orchestrator/src/database/migration-files.js';
import {
  isAlive,
  readIdentity,
  self,
  withFileLock,
  writeIdentity,
} from '../../orchestrator/src/database/process-lock.js';

export interface TestDatabase {
  /** Of a role that owns the database and is not a superuser, as in production. */
  readonly url: string;
  /** Removes the database, and stops the server when nobody else uses it. Call it in `afterAll`. */
  drop(): Promise<void>;
}

const ROOT = join(tmpdir(), `code-interpreter-tests-${process.getuid?.() ?? 0}`);
const USERS = join(ROOT, 'users');
const LOCK = join(ROOT, 'lock');
const LOCK_TIMEOUT_MS = 60_000;
const APPLICATION_ROLE = 'code_interpreter';

let server: EmbeddedPostgres | undefined;
let databases = 0;

async function onAdmin<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: server!.adminUrl });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

const withDatabase = (url: string, database: string): string => {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
};

/** The other processes that use the server; forgets those that died. */
async function otherUsers(): Promise<number> {
  let alive = 0;
  for (const name of await readdir(USERS)) {
    const identity = await readIdentity(join(USERS, name));
    if (identity?.pid === process.pid) continue;
    if (identity && (await isAlive(identity))) alive += 1;
    else await rm(join(USERS, name), { force: true });
  }
  return alive;
}

/** Made once for each state of the migrations; test databases are copies of it. */
async function templateName(): Promise<string> {
  const migrations = await readMigrations(join(PRISMA_DIR, 'migrations'));
  const state = migrations
    .map((each) => each.checksum.slice(0, 12))
    .join('')
    .slice(-40);
  return `template_${state}`;
}

async function ensureTemplate(client: pg.Client, name: string): Promise<void> {
  const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1 AND datistemplate', [
    name,
  ]);
  if (rowCount) return;
  await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  await client.query(`CREATE DATABASE ${name} OWNER ${APPLICATION_ROLE}`);
  await migrate({ url: withDatabase(server!.url, name) });
  await client.query(`ALTER DATABASE ${name} IS_TEMPLATE true`);
}

/** What killed runs left behind. */
async function dropLeftovers(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT datname AS name FROM pg_database WHERE datname LIKE 'test\\_%'`,
  );
  for (const { name } of rows) await client.query(`DROP DATABASE ${name} WITH (FORCE)`);
}

async function startServer(): Promise<EmbeddedPostgres> {
  const start = (): Promise<EmbeddedPostgres> =>
    startEmbeddedPostgres({ dataDir: ROOT, log: () => undefined, durable: false });
  try {
    return await start();
  } catch {
    // Nothing in there is worth keeping, and a machine that lost power may have spoilt it.
    await rm(join(ROOT, 'postgres'), { recursive: true, force: true });
    return start();
  }
}

async function letGo(): Promise<void> {
  await rm(join(USERS, String(process.pid)), { force: true });
  if ((await otherUsers()) > 0) {
    await server!.release();
  } else {
    // Whoever started it, it has no user any more.
    if (!server!.owned) server = await startServer();
    await server!.stop();
  }
  server = undefined;
}

/**
 * Call it in `beforeAll`; takes 0.1 s, on the very first run 2 s. `migrated: false` gives an empty
 * database.
 */
export async function freshDatabase(options: { readonly migrated?: boolean } = {}): Promise<TestDatabase> {
  await mkdir(USERS, { recursive: true });
  const name = `test_${process.pid}_${randomBytes(4).toString('hex')}`;
  await withFileLock(LOCK, LOCK_TIMEOUT_MS, async () => {
    const alone = server === undefined && (await otherUsers()) === 0;
    await writeIdentity(join(USERS, String(process.pid)), await self());
    server ??= await startServer();
    databases += 1;
    await onAdmin(async (client) => {
      if (alone) await dropLeftovers(client);
      const template = (options.migrated ?? true) ? await templateName() : 'template0';
      if (template !== 'template0') await ensureTemplate(client, template);
      await client.query(`CREATE DATABASE ${name} OWNER ${APPLICATION_ROLE} TEMPLATE ${template}`);
    });
  });
  return {
    url: withDatabase(server!.url, name),
    drop: () =>
      withFileLock(LOCK, LOCK_TIMEOUT_MS, async () => {
        await onAdmin((client) => client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
        databases -= 1;
        if (databases === 0) await letGo();
      }),
  };
}
