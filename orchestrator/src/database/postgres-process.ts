/** How the embedded PostgreSQL process is started: its settings, its log, its environment. */
import { type ChildProcess, spawn } from 'node:child_process';
import { open, readFile, rename, stat } from 'node:fs/promises';
import type { PostgresBinaries } from './postgres-binaries.js';
import type { ClusterPaths } from './postgres-cluster.js';
import { type Launcher, SYSTEM_PATH } from './postgres-user.js';

const LOG_ROTATE_BYTES = 8 * 1024 * 1024;
const LOG_TAIL_BYTES = 2_000;

/** Settings live here and not in postgresql.conf, so that a new version of ours can change them. */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '100',
  shared_buffers: '64MB',
  // Durability is the point of this database: what was answered is on disk.
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_logical_replication_workers: '0',
  max_wal_size: '256MB',
  max_parallel_workers_per_gather: '0',
  io_method: 'sync',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  logging_collector: 'off',
  log_checkpoints: 'off',
  // Neither statements nor values reach the log.
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
};

/** What throw-away data need not pay for. */
const THROW_AWAY = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' };

/** The end of the log, for an error message. */
export async function logTail(paths: ClusterPaths): Promise<string> {
  const text = await readFile(paths.log, 'utf8').catch(() => '');
  return text.slice(-LOG_TAIL_BYTES).trim();
}

async function openLog(paths: ClusterPaths): Promise<Awaited<ReturnType<typeof open>>> {
  const size = (await stat(paths.log).catch(() => undefined))?.size ?? 0;
  if (size > LOG_ROTATE_BYTES) await rename(paths.log, `${paths.log}.1`);
  return open(paths.log, 'a', 0o600);
}

interface LaunchRequest {
  readonly paths: ClusterPaths;
  readonly binaries: PostgresBinaries;
  readonly launcher: Launcher;
  readonly port: number;
  readonly durable: boolean;
}

/** Detached: a Ctrl-C in our terminal reaches us alone, and we stop PostgreSQL last. */
export async function launchPostgres(request: LaunchRequest): Promise<ChildProcess> {
  const { paths, binaries, launcher, port, durable } = request;
  const settings = { ...SETTINGS, ...(durable ? {} : THROW_AWAY), port: String(port) };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const [command, ...args] = [...launcher.prefix, binaries.postgres, '-D', paths.cluster, ...flags];
  const log = await openLog(paths);
  try {
    const child = spawn(command!, args, {
      ...launcher.ids,
      cwd: '/',
      detached: true,
      env: { PATH: SYSTEM_PATH, LC_ALL: 'C' },
      stdio: ['ignore', log.fd, log.fd],
    });
    child.once('error', () => undefined);
    child.unref();
    return child;
  } finally {
    await log.close();
  }
}
