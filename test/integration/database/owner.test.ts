/** One server for each database and each DATA_DIR. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type DatabaseOwner, ownDatabase } from '../../../orchestrator/src/database/database-owner.js';
import { ownFolder } from '../../../orchestrator/src/database/folder-owner.js';
import { eventually } from '../../support/api.js';
import { freshDatabase, type TestDatabase } from '../../support/postgres.js';

const TYPESCRIPT = [
  '--experimental-transform-types',
  '--disable-warning=ExperimentalWarning',
  join(import.meta.dirname, '../../../scripts/lib/run-typescript.mjs'),
];
const PROGRAM = join(import.meta.dirname, 'fixtures/owner.ts');

const children: ChildProcess[] = [];

/** A process that takes `what` and says what came of it: `owned`, or the sentence of the refusal. */
async function start(
  what: 'folder' | 'database',
  target: string,
): Promise<{ said: string; child: ChildProcess }> {
  const child = spawn(process.execPath, [...TYPESCRIPT, PROGRAM, what, target], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  children.push(child);
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  return { said: chunk.toString(), child };
}

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

describe('a database', () => {
  let database: TestDatabase;
  let admin: pg.Client;
  const owners: DatabaseOwner[] = [];
  const lost: string[] = [];

  const own = async (waitMs = 300): Promise<DatabaseOwner> => {
    const owner = await ownDatabase({
      url: database.url,
      onLost: (sentence) => lost.push(sentence),
      log: () => undefined,
      waitMs,
    });
    owners.push(owner);
    return owner;
  };

  const backends = async (): Promise<number[]> => {
    const { rows } = await admin.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'code-interpreter-owner%' AND datname = current_database()`,
    );
    return rows.map((row) => row.pid);
  };

  beforeAll(async () => {
    database = await freshDatabase({ migrated: false });
    admin = new pg.Client({ connectionString: database.url });
    await admin.connect();
  });
  afterEach(async () => {
    for (const owner of owners.splice(0)) await owner.release();
    lost.length = 0;
  });
  afterAll(async () => {
    await admin.end();
    await database.drop();
  });

  it('has one owner; the next one is told who that is and what to do', async () => {
    await own();
    const refused = await own().catch((error: unknown) => (error as Error).message);
    expect(refused).toMatch(
      new RegExp(`^Another server already uses this database: process ${process.pid} on .+ stop that one`),
    );
  });

  it('is free again when its owner stops', async () => {
    await (await own()).release();
    await own(10_000);
  });

  it('is free again when its owner is killed, as soon as PostgreSQL has noticed', async () => {
    const { said, child } = await start('database', database.url);
    expect(said).toBe('owned\n');
    child.kill('SIGKILL');
    await own(30_000);
  });

  it('is kept by its owner when the connection breaks', async () => {
    await own();
    const [before] = await backends();
    await admin.query('SELECT pg_terminate_backend($1)', [before]);
    await eventually(backends, (pids) => pids.length === 1 && pids[0] !== before);
    await expect(own()).rejects.toThrow('Another server already uses this database');
    expect(lost).toEqual([]);
  });

  it('is given up by an owner whose connection broke when another server has it', async () => {
    await own();
    const [before] = await backends();
    // Its place is taken in the moment in which it goes.
    const thief = new pg.Client({ connectionString: database.url, application_name: 'thief' });
    await thief.connect();
    const key = await admin.query<{ key: string }>(
      `SELECT ((classid::bigint << 32) | objid::bigint)::text AS key FROM pg_locks WHERE pid = $1 AND locktype = 'advisory'`,
      [before],
    );
    const taken = thief.query('SELECT pg_advisory_lock($1::bigint)', [key.rows[0]!.key]);
    await admin.query('SELECT pg_terminate_backend($1)', [before]);
    await taken;
    await eventually(
      async () => lost,
      (sentences) => sentences.length === 1,
    );
    expect(lost[0]).toContain('Another server already uses this database');
    await thief.end();
  });
});

describe('a DATA_DIR', () => {
  let dir: string;
  beforeAll(async () => void (dir = await mkdtemp(join(tmpdir(), 'code-interpreter-owner-'))));
  afterAll(() => rm(dir, { recursive: true, force: true }));

  it('has one owner; the next one is told who that is and what to do', async () => {
    const owner = await ownFolder(dir);
    const { said } = await start('folder', dir);
    expect(said).toContain(`Another server already uses the folder ${dir}: process ${process.pid} on `);
    expect(said).toContain('a DATA_DIR of its own');
    await owner.release();
    expect((await start('folder', dir)).said).toBe('owned\n');
  });

  it('is free at once when its owner is killed', async () => {
    const { said, child } = await start('folder', dir);
    expect(said).toBe('owned\n');
    await expect(ownFolder(dir)).rejects.toThrow(`process ${child.pid}`);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await (await ownFolder(dir)).release();
  });

  it('stays with an owner that is halted', async () => {
    const { child } = await start('folder', dir);
    child.kill('SIGSTOP');
    await expect(ownFolder(dir)).rejects.toThrow('Another server already uses the folder');
  });

  it('goes to one of many that start at the same time', async () => {
    const said = await Promise.all(Array.from({ length: 4 }, () => start('folder', dir)));
    expect(said.filter((each) => each.said === 'owned\n')).toHaveLength(1);
  });

  it('refuses a path that no socket can have', async () => {
    await expect(ownFolder(join(dir, 'x'.repeat(120)))).rejects.toThrow('The path of DATA_DIR is too long');
  });
});
