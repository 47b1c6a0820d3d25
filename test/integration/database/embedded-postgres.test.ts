import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../../orchestrator/src/database/embedded-postgres.js';
import { identify, waitForExit } from '../../../orchestrator/src/database/process-lock.js';

const HOLD = fileURLToPath(new URL('./fixtures/hold-postgres.mjs', import.meta.url));

interface Held {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly owned: boolean;
}

async function query<T extends object>(url: string, sql: string): Promise<readonly T[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<T>(sql)).rows;
  } finally {
    await client.end();
  }
}

const isGone = async (pid: number): Promise<boolean> => (await identify(pid)) === undefined;

async function killAndWait(pid: number): Promise<void> {
  const identity = await identify(pid);
  process.kill(pid, 'SIGKILL');
  if (identity) await waitForExit(identity, 5_000);
}

describe('the embedded PostgreSQL', () => {
  let dataDir: string;
  let running: EmbeddedPostgres[];
  let children: ChildProcess[];

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'code-interpreter-pg-'));
    await chmod(dataDir, 0o755);
  });

  afterAll(() => rm(dataDir, { recursive: true, force: true }));

  beforeEach(() => {
    running = [];
    children = [];
  });

  afterEach(async () => {
    for (const child of children) child.kill('SIGKILL');
    for (const server of running) await server.stop();
    await chmod(dataDir, 0o755);
  });

  async function start(
    log: (message: string) => void = () => undefined,
    durable = false,
  ): Promise<EmbeddedPostgres> {
    const server = await startEmbeddedPostgres({ dataDir, log, durable });
    running.push(server);
    return server;
  }

  async function hold(dir = dataDir): Promise<Held> {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', HOLD, dir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    const [line] = (await once(child.stdout!, 'data')) as [Buffer];
    return { child, ...(JSON.parse(line.toString()) as { pid: number; owned: boolean }) };
  }

  it('is created with progress messages, and keeps its data', async () => {
    const messages: string[] = [];
    const first = await start((message) => messages.push(message));
    expect(messages.join('\n')).toMatch(/Creating the database in .*postgres/);
    await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
    const { url, pid } = first;
    await first.stop();
    expect(await isGone(pid!)).toBe(true);

    messages.length = 0;
    const second = await start((message) => messages.push(message));
    expect(messages.join('\n')).not.toContain('Creating');
    expect(second.url).toBe(url);
    expect(await query(second.url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  });

  it('listens on 127.0.0.1 alone, and its password is in one file that only we can read', async () => {
    const server = await start();
    const [settings] = await query<{ listen: string; sockets: string; superuser: boolean }>(
      server.adminUrl,
      `SELECT current_setting('listen_addresses') AS listen, current_setting('unix_socket_directories') AS sockets,
              (SELECT rolsuper FROM pg_roles WHERE rolname = 'code_interpreter') AS superuser`,
    );
    expect(settings).toEqual({ listen: '127.0.0.1', sockets: '', superuser: false });
    const file = join(dataDir, 'postgres', 'credentials.json');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const { password } = new URL(server.url);
    expect(await readFile(join(dataDir, 'postgres', 'postgres.log'), 'utf8')).not.toContain(password);
    const command = await readFile(`/proc/${server.pid}/cmdline`, 'utf8').catch(() => '');
    expect(command).not.toContain(password);
    await expect(query(server.url.replace(password, 'wrong'), 'SELECT 1')).rejects.toThrow(/password/);
  });

  it('is adopted after the orchestrator was killed, and then stopped by its new owner', async () => {
    const held = await hold();
    await killAndWait(held.child.pid!);
    expect(await isGone(held.pid)).toBe(false);
    const server = await start();
    expect(server).toMatchObject({ pid: held.pid, adopted: true, owned: true });
    await server.stop();
    expect(await isGone(held.pid)).toBe(true);
  });

  it('is shared with a second orchestrator, which leaves it running', async () => {
    const held = await hold();
    const guest = await start();
    expect(guest).toMatchObject({ pid: held.pid, adopted: true, owned: false });
    await guest.stop();
    expect(await isGone(held.pid)).toBe(false);
    held.child.kill('SIGTERM');
    await once(held.child, 'exit');
    expect(await isGone(held.pid)).toBe(true);
  });

  it('is created once when two orchestrators start together', async () => {
    const dir = join(dataDir, 'another');
    const [one, other] = await Promise.all([hold(dir), hold(dir)]);
    expect(one.pid).toBe(other.pid);
    expect(one.owned).not.toBe(other.owned);
    const owner = one.owned ? one : other;
    owner.child.kill('SIGTERM');
    await once(owner.child, 'exit');
    expect(await isGone(one.pid)).toBe(true);
  });

  it('is started again on the same port when it dies, with all that was committed', async () => {
    const messages: string[] = [];
    const server = await start((message) => messages.push(message), true);
    const { pid, url } = server;
    await query(url, 'CREATE TABLE committed AS SELECT 42 AS answer');
    await killAndWait(pid!);
    await expect.poll(() => server.pid, { timeout: 20_000 }).not.toBe(pid);
    await expect
      .poll(() => query(url, 'SELECT answer FROM committed').catch(() => []))
      .toEqual([{ answer: 42 }]);
    expect(messages).toContain('PostgreSQL ended unexpectedly; starting it again');
  });

  it('starts although postmaster.pid names a process that is something else', async () => {
    const server = await start();
    await server.stop();
    const file = join(dataDir, 'postgres', 'cluster', 'postmaster.pid');
    await writeFile(file, `${process.pid}\n${dataDir}\n1700000000\n1\n\n127.0.0.1\n       \nready   \n`);
    await chmod(file, 0o644);
    const again = await start();
    expect(again.adopted).toBe(false);
    expect(await query(again.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('runs below a folder that only root may enter', { skip: process.getuid?.() !== 0 }, async () => {
    await chmod(dataDir, 0o700);
    const server = await start();
    expect(await query(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    const { uid } = await stat(join(dataDir, 'postgres', 'cluster'));
    expect(uid).not.toBe(0);
  });

  it('says what is wrong when its data is spoilt', async () => {
    const server = await start();
    await server.stop();
    await rm(join(dataDir, 'postgres', 'cluster', 'global'), { recursive: true });
    await mkdir(join(dataDir, 'postgres', 'cluster', 'global'));
    await expect(start()).rejects.toThrow(
      /PostgreSQL did not start\. The end of .*postgres\.log:\n[^]*(FATAL|could not)/,
    );
  });
});
