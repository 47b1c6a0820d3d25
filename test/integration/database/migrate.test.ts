import { appendFile, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { migrate } from '../../../orchestrator/src/database/migrate.js';
import { PRISMA_DIR, readMigrations } from '../../../orchestrator/src/database/migration-files.js';
import { freshDatabase, type TestDatabase } from '../../support/postgres.js';

describe('migrations', () => {
  let database: TestDatabase;
  let migrationsDir: string;
  let names: readonly string[];

  beforeEach(async () => {
    database = await freshDatabase({ migrated: false });
    migrationsDir = await mkdtemp(join(tmpdir(), 'code-interpreter-migrations-'));
    await cp(join(PRISMA_DIR, 'migrations'), migrationsDir, { recursive: true });
    names = (await readMigrations(migrationsDir)).map((migration) => migration.name);
  });

  afterEach(async () => {
    await database.drop();
    await rm(migrationsDir, { recursive: true, force: true });
  });

  async function query<T extends object>(sql: string): Promise<readonly T[]> {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    try {
      return (await client.query<T>(sql)).rows;
    } finally {
      await client.end();
    }
  }

  async function addMigration(name: string, sql: string): Promise<void> {
    await mkdir(join(migrationsDir, name));
    await writeFile(join(migrationsDir, name, 'migration.sql'), sql);
  }

  it('are applied once', async () => {
    expect(await migrate({ url: database.url })).toEqual({ applied: names });
    expect(await migrate({ url: database.url })).toEqual({ applied: [] });
  });

  it('are applied once when several processes boot together', async () => {
    const results = await Promise.all(Array.from({ length: 5 }, () => migrate({ url: database.url })));
    expect(results.flatMap((result) => result.applied)).toEqual(names);
    const rows = await query<{ count: string }>('SELECT count(*) FROM _prisma_migrations');
    expect(rows).toEqual([{ count: String(names.length) }]);
  });

  it('change nothing when one of them fails, and go on when it was repaired', async () => {
    await migrate({ url: database.url, migrationsDir });
    await addMigration('29990101000000_good', 'CREATE TABLE good (id int);');
    await addMigration('29990102000000_bad', 'CREATE TABLE half (id int); CREATE TABLE rest (id nonsense);');
    await expect(migrate({ url: database.url, migrationsDir })).rejects.toThrow(
      /could not be applied \(29990102000000_bad\); the database was left as it was\..*"nonsense" does not exist/,
    );
    expect(await query(`SELECT FROM pg_tables WHERE tablename IN ('good', 'half')`)).toEqual([]);
    await writeFile(
      join(migrationsDir, '29990102000000_bad', 'migration.sql'),
      'CREATE TABLE half (id int);',
    );
    expect(await migrate({ url: database.url, migrationsDir })).toEqual({
      applied: ['29990101000000_good', '29990102000000_bad'],
    });
  });

  it('refuse a database in which an edited one was applied', async () => {
    await migrate({ url: database.url, migrationsDir });
    await appendFile(join(migrationsDir, names[0]!, 'migration.sql'), '\n-- a late thought\n');
    await expect(migrate({ url: database.url, migrationsDir })).rejects.toThrow(
      new RegExp(`${names[0]} was edited after it had been applied.*Restore the file`),
    );
  });

  it('refuse a database of a newer version', async () => {
    await addMigration('29990101000000_newer', 'CREATE TABLE newer (id int);');
    await migrate({ url: database.url, migrationsDir });
    await expect(migrate({ url: database.url })).rejects.toThrow(/newer, version.*29990101000000_newer/);
  });

  it('keep one running container for a session key', async () => {
    await migrate({ url: database.url });
    await query(`INSERT INTO "Project" (id, name) VALUES ('p', 'p')`);
    const insert = (id: string, status: string, key: string): Promise<unknown> =>
      query(`INSERT INTO "Container" (id, "projectId", name, status, "memoryLimit", "memoryBytes", "idleMinutes", "networkPolicy", "sessionKey")
             VALUES ('${id}', 'p', 'n', '${status}', '1g', 1, 20, '{}', ${key})`);
    await insert('a', 'running', `'k'`);
    await insert('b', 'expired', `'k'`);
    await insert('c', 'running', 'NULL');
    await insert('d', 'running', 'NULL');
    await expect(insert('e', 'running', `'k'`)).rejects.toThrow(/duplicate key/);
  });
});
