/**
 * The PostgreSQL that comes with the server, used when DATABASE_URL is not set.
 *
 * It is a process of its own that outlives us: after a crash of the orchestrator the next one finds
 * it running and adopts it. One orchestrator owns it at a time; only the owner restarts it when it
 * dies and stops it at the end. Whoever starts a second one on the same folder shares it as a guest.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { Ballast } from './ballast.js';
import { findPostgres, type PostgresBinaries } from './postgres-binaries.js';
import {
  ADMIN_ROLE,
  choosePort,
  type ClusterPaths,
  type Credentials,
  disownPostmasterFile,
  initialiseCluster,
  isInitialised,
  loadCredentials,
  preparePaths,
  readPostmasterFile,
} from './postgres-cluster.js';
import { launchPostgres, logTail } from './postgres-process.js';
import { type Launcher, launcherFor, postgresUser } from './postgres-user.js';
import * as processes from './process-lock.js';

export interface EmbeddedPostgresOptions {
  /** DATA_DIR; PostgreSQL gets the folder `postgres` in it. */
  readonly dataDir: string;
  /** Gets one sentence for each long step; never a password. */
  readonly log: (message: string) => void;
  /** Longest the server may take until it answers, crash recovery included; default two minutes. */
  readonly startTimeoutMs?: number;
  /** False for throw-away data only: quicker, and lost when the machine loses power. */
  readonly durable?: boolean;
}

const DATABASE = 'code_interpreter';
const APPLICATION_ROLE = 'code_interpreter';
const DEFAULT_START_TIMEOUT_MS = 120_000;
const POLL_MS = 10;
const SLOW_START_MS = 5_000;
const WATCH_INTERVAL_MS = 1_000;
/** The ladder of stop(): fast shutdown, immediate shutdown, kill; each with its wait. */
const STOP_LADDER = [
  { signal: 'SIGINT', waitMs: 20_000 },
  { signal: 'SIGQUIT', waitMs: 5_000 },
  { signal: 'SIGKILL', waitMs: 5_000 },
] as const;

interface Prepared {
  readonly paths: ClusterPaths;
  readonly credentials: Credentials;
  readonly binaries: PostgresBinaries;
  readonly launcher: Launcher;
  readonly durable: boolean;
}

async function prepare({ dataDir, log, durable = true }: EmbeddedPostgresOptions): Promise<Prepared> {
  const paths = await preparePaths(dataDir);
  const binaries = await findPostgres();
  const user = await postgresUser(paths.cluster, log);
  const launcher = await launcherFor(user, [binaries.postgres, paths.root]);
  const credentials = await loadCredentials(paths);
  if (!(await isInitialised(paths))) {
    const startedAt = Date.now();
    log(`Creating the database in ${paths.root}`);
    await initialiseCluster({ paths, binaries, user, launcher, credentials, durable });
    log(`The database was created in ${((Date.now() - startedAt) / 1000).toFixed(1)} s`);
  }
  return { paths, credentials, binaries, launcher, durable };
}

const urlOf = (role: string, password: string, port: number, database: string): string =>
  `postgresql://${role}:${password}@127.0.0.1:${port}/${database}`;

async function withClient<T>(connectionString: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 30_000 });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Makes the role and the database of the application, or finds them. Proves that it is our server. */
async function prepareDatabase(prepared: Prepared, port: number): Promise<void> {
  const { credentials, paths } = prepared;
  await withClient(urlOf(ADMIN_ROLE, credentials.admin, port, 'postgres'), async (client) => {
    const { rows } = await client.query<{ dir: string; role: boolean; database: boolean }>(
      `SELECT current_setting('data_directory') AS dir,
              EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AS role,
              EXISTS (SELECT FROM pg_database WHERE datname = $2) AS database`,
      [APPLICATION_ROLE, DATABASE],
    );
    const found = rows[0]!;
    if (found.dir !== paths.cluster) {
      throw new Error(`the server on port ${port} serves ${found.dir}, not ${paths.cluster}`);
    }
    const password = client.escapeLiteral(credentials.application);
    if (!found.role) await client.query(`CREATE ROLE ${APPLICATION_ROLE} LOGIN PASSWORD ${password}`);
    if (!found.database) await client.query(`CREATE DATABASE ${DATABASE} OWNER ${APPLICATION_ROLE}`);
  });
}

export class EmbeddedPostgres {
  private prepared!: Prepared;
  private postmaster: processes.ProcessIdentity | undefined;
  private port = 0;
  private isAdopted = false;
  private isOwner = false;
  private stopping = false;
  private ballast: Ballast | undefined;
  private watching: NodeJS.Timeout | undefined;
  /** The look at the process that is under way; it may be starting it again. */
  private watched: Promise<void> = Promise.resolve();

  private readonly options: EmbeddedPostgresOptions;

  /** Use `startEmbeddedPostgres`. */
  constructor(options: EmbeddedPostgresOptions) {
    this.options = options;
  }

  /** For the server: its role owns the database `code_interpreter` and nothing else. Holds a password. */
  get url(): string {
    return urlOf(APPLICATION_ROLE, this.prepared.credentials.application, this.port, DATABASE);
  }

  /** For backups and tests: the superuser. Holds a password. */
  get adminUrl(): string {
    return urlOf(ADMIN_ROLE, this.prepared.credentials.admin, this.port, 'postgres');
  }

  get pid(): number | undefined {
    return this.postmaster?.pid;
  }

  /** Whether it was found running rather than started. */
  get adopted(): boolean {
    return this.isAdopted;
  }

  /** Whether `stop` will stop it. */
  get owned(): boolean {
    return this.isOwner;
  }

  async start(): Promise<void> {
    const { lock, root } = await preparePaths(this.options.dataDir);
    if (this.options.durable !== false) this.ballast ??= new Ballast(join(root, 'ballast'));
    await this.ballast?.tend();
    await processes.withFileLock(lock, this.startTimeoutMs, async () => {
      this.prepared = await prepare(this.options);
      this.isAdopted = await this.adopt();
      if (!this.isAdopted) await this.launchAndWait();
      await prepareDatabase(this.prepared, this.port);
      await this.claim();
    });
    if (this.isOwner && !this.watching) {
      this.watching = setInterval(() => void (this.watched = this.watch()), WATCH_INTERVAL_MS).unref();
    }
  }

  /**
   * Called last, when nothing uses the database any more. Open connections are cut, transactions in
   * flight rolled back, everything answered is on disk. A guest leaves the server running.
   */
  async stop(): Promise<void> {
    this.stopping = true;
    await this.endWatch();
    const postmaster = this.postmaster;
    if (!this.isOwner || !postmaster) return;
    for (const { signal, waitMs } of STOP_LADDER) {
      if (await processes.isAlive(postmaster)) process.kill(postmaster.pid, signal);
      if (await processes.waitForExit(postmaster, waitMs)) {
        await rm(this.prepared.paths.owner, { force: true });
        return;
      }
      this.options.log(`PostgreSQL did not end within ${waitMs / 1000} s of ${signal}`);
    }
    throw new Error(
      `PostgreSQL (pid ${postmaster.pid}) cannot be stopped; look at ${this.prepared.paths.log}`,
    );
  }

  /** Gives the server up and leaves it running; the next to start on this folder owns it. */
  async release(): Promise<void> {
    this.stopping = true;
    await this.endWatch();
    if (this.isOwner) await rm(this.prepared.paths.owner, { force: true });
    this.isOwner = false;
  }

  private async endWatch(): Promise<void> {
    clearInterval(this.watching);
    await this.watched;
    clearInterval(this.watching);
    await this.ballast?.settled();
  }

  private get startTimeoutMs(): number {
    return this.options.startTimeoutMs ?? DEFAULT_START_TIMEOUT_MS;
  }

  /** True when a server of this folder was running; it may still have been starting or ending. */
  private async adopt(): Promise<boolean> {
    const { paths } = this.prepared;
    const found = await readPostmasterFile(paths);
    const identity = found && (await processes.identify(found.pid));
    if (!found || !identity) return false;
    if (!(await processes.commandOf(found.pid)).includes(paths.cluster)) {
      await disownPostmasterFile(paths);
      return false;
    }
    if (!(await this.waitUntilReady(identity))) return false;
    return true;
  }

  private async launchAndWait(): Promise<void> {
    const { paths } = this.prepared;
    const child = await launchPostgres({ ...this.prepared, port: await choosePort(paths) });
    const identity = child.pid === undefined ? undefined : await processes.identify(child.pid);
    if (identity && (await this.waitUntilReady(identity))) return;
    throw new Error(`PostgreSQL did not start. The end of ${paths.log}:\n${await logTail(paths)}`);
  }

  /** False when the process ended. Throws, and stops it, when it takes too long. */
  private async waitUntilReady(identity: processes.ProcessIdentity): Promise<boolean> {
    const startedAt = Date.now();
    let told = false;
    while (await processes.isAlive(identity)) {
      const file = await readPostmasterFile(this.prepared.paths);
      if (file?.ready && file.pid === identity.pid) {
        this.postmaster = identity;
        this.port = file.port;
        return true;
      }
      const waitedMs = Date.now() - startedAt;
      if (waitedMs > SLOW_START_MS && !told) {
        this.options.log('PostgreSQL is still starting; after a crash it first replays its journal');
        told = true;
      }
      if (waitedMs > this.startTimeoutMs) {
        process.kill(identity.pid, 'SIGINT');
        throw new Error(
          `PostgreSQL was not ready within ${this.startTimeoutMs / 1000} s; look at ${this.prepared.paths.log}`,
        );
      }
      await sleep(POLL_MS);
    }
    return false;
  }

  /** Becomes the owner unless another live process is. */
  private async claim(): Promise<void> {
    const me = await processes.self();
    const holder = await processes.readIdentity(this.prepared.paths.owner);
    this.isOwner = !this.isAdopted || !holder || holder.pid === me.pid || !(await processes.isAlive(holder));
    if (this.isOwner) await processes.writeIdentity(this.prepared.paths.owner, me);
  }

  /** Starts PostgreSQL again, on the same port if it can, when it ended without being asked to. */
  private async watch(): Promise<void> {
    await this.ballast?.tend();
    if (this.stopping || !this.postmaster || (await processes.isAlive(this.postmaster))) return;
    clearInterval(this.watching);
    this.watching = undefined;
    this.options.log('PostgreSQL ended unexpectedly; starting it again');
    try {
      if (!this.stopping) await this.start();
    } catch (error) {
      this.options.log(`PostgreSQL could not be started again: ${(error as Error).message}`);
      this.watching = setInterval(() => void (this.watched = this.watch()), WATCH_INTERVAL_MS).unref();
    }
  }
}

/** Starts or adopts PostgreSQL, and makes the database on first use. Throws with the repair in the message. */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const server = new EmbeddedPostgres(options);
  await server.start();
  return server;
}
