/** What lies on disk for the embedded PostgreSQL: the cluster, its passwords and its port. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { PostgresBinaries } from './postgres-binaries.js';
import { type Launcher, type PostgresUser, SYSTEM_PATH } from './postgres-user.js';

/** Everything lies in one folder, `<DATA_DIR>/postgres`. Absolute paths without symbolic links. */
export interface ClusterPaths {
  readonly root: string;
  readonly cluster: string;
  readonly credentials: string;
  readonly port: string;
  readonly owner: string;
  readonly lock: string;
  readonly log: string;
  readonly postmasterPid: string;
}

/** `admin` is the superuser; the server itself connects as `application`, which owns its database only. */
export interface Credentials {
  readonly admin: string;
  readonly application: string;
}

/** What `postmaster.pid` says about a server that runs, or ran. */
export interface PostmasterFile {
  readonly pid: number;
  readonly port: number;
  readonly ready: boolean;
}

export const ADMIN_ROLE = 'postgres';

/** Above every pid that Linux gives, so that PostgreSQL finds the process of this pid dead. */
const IMPOSSIBLE_PID = 4_194_305;

/** Makes the folder. Others may pass through it (PostgreSQL must), but not list it. */
export async function preparePaths(dataDir: string): Promise<ClusterPaths> {
  const wanted = join(dataDir, 'postgres');
  await mkdir(wanted, { recursive: true });
  const root = await realpath(wanted);
  if (((await stat(root)).mode & 0o777) !== 0o711) await chmod(root, 0o711);
  const cluster = join(root, 'cluster');
  return {
    root,
    cluster,
    credentials: join(root, 'credentials.json'),
    port: join(root, 'port'),
    owner: join(root, 'owner'),
    lock: join(root, 'start.lock'),
    log: join(root, 'postgres.log'),
    postmasterPid: join(cluster, 'postmaster.pid'),
  };
}

/** Reads the passwords, or makes them before the first initialisation. */
export async function loadCredentials(paths: ClusterPaths): Promise<Credentials> {
  const text = await readFile(paths.credentials, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text !== undefined) return JSON.parse(text) as Credentials;
  if (await isInitialised(paths)) {
    throw new Error(
      `${paths.credentials} is missing, so nobody can log in to the database beside it; restore that file.`,
    );
  }
  const made: Credentials = {
    admin: randomBytes(24).toString('base64url'),
    application: randomBytes(24).toString('base64url'),
  };
  await writeFile(`${paths.credentials}.new`, JSON.stringify(made), { mode: 0o600, flush: true });
  await rename(`${paths.credentials}.new`, paths.credentials);
  return made;
}

export async function isInitialised(paths: ClusterPaths): Promise<boolean> {
  return (await stat(paths.cluster).catch(() => undefined)) !== undefined;
}

/** Undefined when no server runs, or none ever ran. */
export async function readPostmasterFile(paths: ClusterPaths): Promise<PostmasterFile | undefined> {
  const lines = (await readFile(paths.postmasterPid, 'utf8').catch(() => '')).split('\n');
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  return { pid, port: Number(lines[3]), ready: lines[7]?.trim() === 'ready' };
}

/**
 * Called when the pid in `postmaster.pid` belongs to another program by now: PostgreSQL would take
 * that for a running server. The rest of the file stays, as it names the shared memory to check.
 */
export async function disownPostmasterFile(paths: ClusterPaths): Promise<void> {
  const text = await readFile(paths.postmasterPid, 'utf8');
  await writeFile(paths.postmasterPid, text.replace(/^\d+/, String(IMPOSSIBLE_PID)));
}

const isFree = (port: number): Promise<number | undefined> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(address && typeof address === 'object' ? address.port : undefined));
    });
  });

/** The port of the last start if it is still free, else a new one, which is kept for the next start. */
export async function choosePort(paths: ClusterPaths): Promise<number> {
  const kept = Number(await readFile(paths.port, 'utf8').catch(() => '0'));
  const port = (kept > 0 ? await isFree(kept) : undefined) ?? (await isFree(0));
  if (port === undefined) throw new Error('No TCP port can be opened on 127.0.0.1, which PostgreSQL needs.');
  if (port !== kept) await writeFile(paths.port, `${port}\n`);
  return port;
}

interface InitRequest {
  readonly paths: ClusterPaths;
  readonly binaries: PostgresBinaries;
  readonly user: PostgresUser;
  readonly launcher: Launcher;
  readonly credentials: Credentials;
  readonly durable: boolean;
}

function runInitdb(command: string, args: readonly string[], ids: Launcher['ids']): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      ...ids,
      cwd: '/',
      env: { PATH: SYSTEM_PATH, LC_ALL: 'C', TZ: 'UTC' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const keep = (chunk: Buffer): void => void (output = (output + chunk.toString()).slice(-4_000));
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`initdb of the embedded PostgreSQL ended with code ${code}:\n${output.trim()}`));
    });
  });
}

function syncFlags(durable: boolean): readonly string[] {
  if (!durable) return ['--no-sync'];
  return process.platform === 'linux' ? ['--sync-method=syncfs'] : [];
}

/** Creates the cluster beside its place and moves it there when complete, so that a crash leaves none or all. */
export async function initialiseCluster(request: InitRequest): Promise<void> {
  const { paths, binaries, user, launcher, credentials, durable } = request;
  const fresh = join(paths.root, 'cluster.new');
  const passwordFile = join(paths.root, 'initdb-password');
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { mode: 0o700 });
  await rm(passwordFile, { force: true });
  await writeFile(passwordFile, `${credentials.admin}\n`, { mode: 0o600 });
  try {
    if (user.uid !== undefined && user.gid !== undefined) {
      await chown(fresh, user.uid, user.gid);
      await chown(passwordFile, user.uid, user.gid);
    }
    const [command, ...args] = [
      ...[...launcher.prefix, binaries.initdb, `--pgdata=${fresh}`, `--username=${ADMIN_ROLE}`],
      ...[`--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8', '--locale=C'],
      // PostgreSQL's own collation: sorts the same everywhere, whatever the C library becomes.
      ...['--locale-provider=builtin', '--builtin-locale=C.UTF-8', ...syncFlags(durable)],
    ];
    await runInitdb(command!, args, launcher.ids);
    await rename(fresh, paths.cluster);
  } finally {
    await rm(passwordFile, { force: true });
    await rm(fresh, { recursive: true, force: true });
  }
}
