/** The embedded PostgreSQL on a disk that others fill to the last byte: a small file system of its own. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, closeSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../../orchestrator/src/database/embedded-postgres.js';

const folder = mkdtempSync(join(tmpdir(), 'full-disk-'));
const filler = join(folder, 'of-others');
const ballast = join(folder, 'postgres/ballast');

function mount(): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512m,mode=755', 'tmpfs', folder], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Takes what is left, and again what comes free meanwhile, until nothing does. */
function fill(): void {
  const file = openSync(filler, 'a');
  try {
    for (const size of [1_048_576, 4096]) {
      try {
        for (;;) writeSync(file, Buffer.alloc(size, 1));
      } catch {
        // Full for pieces of this size.
      }
    }
  } finally {
    closeSync(file);
  }
}

const isMounted = mount();
let server: EmbeddedPostgres | undefined;

const start = async () => {
  server = await startEmbeddedPostgres({ dataDir: folder, log: () => undefined });
  return server;
};

async function query(sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: server!.url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

beforeAll(async () => {
  if (!isMounted) return;
  await start();
  await query('CREATE TABLE kept AS SELECT n FROM generate_series(1, 1000) n');
});

afterAll(async () => {
  await server?.stop();
  if (isMounted) execFileSync('umount', ['--lazy', folder], { stdio: 'ignore' });
  rmSync(folder, { recursive: true, force: true });
});

describe.skipIf(!isMounted)('a full disk', () => {
  it('leaves room in reserve, with which the database reads and deletes on', async () => {
    await expect.poll(() => existsSync(ballast), { timeout: 20_000 }).toBe(true);
    fill();
    await expect.poll(() => existsSync(ballast), { timeout: 20_000 }).toBe(false);
    expect(await query('SELECT count(*)::int AS n FROM kept')).toEqual([{ n: 1000 }]);
    await query('DELETE FROM kept WHERE n > 500');
    expect(statfsSync(folder).bavail).toBeGreaterThan(0);
  });

  it('does not keep the database from starting again', async () => {
    const { pid } = server!;
    process.kill(pid!, 'SIGKILL');
    await expect.poll(() => server!.pid, { timeout: 60_000 }).not.toBe(pid);
    await expect
      .poll(() => query('SELECT count(*)::int AS n FROM kept').catch(() => undefined), { timeout: 60_000 })
      .toEqual([{ n: 500 }]);
    await server!.stop();
    await start();
    expect(await query('SELECT count(*)::int AS n FROM kept')).toEqual([{ n: 500 }]);
  });

  it('gets its reserve back when there is room', async () => {
    rmSync(filler);
    await expect.poll(() => existsSync(ballast), { timeout: 20_000 }).toBe(true);
  });
});
