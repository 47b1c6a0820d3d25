/** What a server that works all day must not pile up, read from outside of it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { onDatabase } from '../support/project.js';
import type { TestServer } from '../support/server.js';

export type Vital =
  | 'resident_bytes'
  | 'database_resident_bytes'
  | 'descriptors'
  | 'threads'
  | 'processes'
  | 'mounts'
  | 'sandboxes'
  | 'sandbox_folders'
  | 'files'
  | 'rows';

export type Vitals = Readonly<Record<Vital, number>>;

/** Below /proc, of this process; empty when it has just ended. */
function procFile(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return '';
  }
}

const field = (pid: number, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(procFile(pid, 'status'))?.[1] ?? 0);

function entries(folder: string, recursive = false): string[] {
  try {
    return readdirSync(folder, { recursive, withFileTypes: true })
      .filter((entry) => !recursive || entry.isFile())
      .map(({ name }) => name);
  } catch {
    return [];
  }
}

const pids = (): number[] =>
  entries('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

/** Shims, sentries and gofers on this host: `docker ps` would leave out what is half removed. */
const sandboxProcesses = (): number =>
  pids().filter((pid) => /containerd-shim|runsc/.test(procFile(pid, 'cmdline'))).length;

/** The postmaster and what it started. */
function databaseProcesses(server: TestServer): number[] {
  const file = join(server.dataDir, 'postgres/cluster/postmaster.pid');
  const postmaster = Number(readFileSync(file, 'utf8').split('\n')[0]);
  return pids().filter((pid) => pid === postmaster || field(pid, 'PPid') === postmaster);
}

/** Rows of all tables of ours. */
async function rows(server: TestServer): Promise<number> {
  return onDatabase(server, async (client) => {
    const tables = await client.query<{ name: string }>(
      `SELECT quote_ident(tablename) AS name FROM pg_tables
       WHERE schemaname = 'public' AND tablename NOT LIKE '\\_%'`,
    );
    const counts = tables.rows.map(({ name }) => `(SELECT count(*) FROM ${name})`).join(' + ');
    const { rows: found } = await client.query<{ all: string }>(`SELECT ${counts} AS "all"`);
    return Number(found[0]!.all);
  });
}

/** Reads all of it; call it when nothing runs and everything was deleted. */
export async function readVitals(server: TestServer): Promise<Vitals> {
  const sandboxes = await server.sandboxes();
  const database = databaseProcesses(server);
  return {
    resident_bytes: field(server.pid, 'VmRSS') * 1024,
    database_resident_bytes: database.reduce((sum, pid) => sum + field(pid, 'RssAnon') * 1024, 0),
    descriptors: entries(`/proc/${server.pid}/fd`).length,
    threads: field(server.pid, 'Threads'),
    processes: sandboxProcesses(),
    mounts: readFileSync('/proc/self/mountinfo', 'utf8').trimEnd().split('\n').length,
    sandboxes: sandboxes.length,
    sandbox_folders: entries(join(server.dataDir, 'sandboxes')).length,
    files: entries(join(server.dataDir, 'blobs'), true).length,
    rows: await rows(server),
  };
}
