/**
 * One server for each database: who owns it holds an advisory lock, on a connection of its own, for as long
 * as the process lives. The lock goes with the connection, so a killed server leaves none behind.
 */
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { lockKey } from './advisory-lock.js';
import { keepsConnections } from './statement-names.js';

export interface DatabaseOwnerOptions {
  /** `postgresql://` URL. */
  readonly url: string;
  /** Called once, with a sentence, when another server has taken the database; nothing may be written after that. */
  readonly onLost: (sentence: string) => void;
  /** Gets a sentence when something takes long. */
  readonly log: (message: string) => void;
  /**
   * Milliseconds to wait for whoever holds it. PostgreSQL sees the end of a killed server at once, and that of a
   * machine which vanished from the network by the keep-alives below.
   */
  readonly waitMs?: number;
}

export interface DatabaseOwner {
  release(): Promise<void>;
}

const WAIT_MS = 20_000;
const POLL_MS = 100;
const RETRY_MS = 500;
/** How often the connection is tried, so that its loss is noticed although nothing else travels on it. */
const CHECK_INTERVAL_MS = 5_000;
const CONNECT_TIMEOUT_MS = 30_000;
const ANSWER_TIMEOUT_MS = 10_000;
const APPLICATION = 'code-interpreter-owner';
const KEEP_ALIVE = '-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=3 -c tcp_keepalives_count=3';
const SAY_AFTER_MS = 1_500;

const KEY = lockKey('owner');

const HOLDER = `
  SELECT a.application_name AS name, host(a.client_addr) AS address, a.backend_start AS since
    FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
   WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
     AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
     AND ((l.classid::bigint << 32) | l.objid::bigint) = $1::bigint`;

interface Holder {
  readonly name: string;
  readonly address: string | null;
  readonly since: Date | null;
}

function describe(holder: Holder | undefined): string {
  if (!holder) return 'a server that is just ending';
  const [, pid, host] = /^\S+ (\d+)@(.*)$/.exec(holder.name) ?? [];
  const who = pid === undefined ? 'a server' : `process ${pid} on ${host}`;
  const from = holder.address === null ? '' : `, connected from ${holder.address}`;
  return `${who}${from}${holder.since === null ? '' : ` since ${holder.since.toISOString()}`}`;
}

const refusal = (holder: string): string =>
  `Another server already uses this database: ${holder}. One server runs on a database: stop that one, or give this one a DATABASE_URL of its own.`;

class Ownership implements DatabaseOwner {
  private client: pg.Client | undefined;
  private timer: NodeJS.Timeout | undefined;
  private released = false;
  private regaining: Promise<void> | undefined;

  constructor(private readonly options: DatabaseOwnerOptions) {}

  /** Rejects with a sentence while somebody else has it for longer than the wait. */
  async acquire(): Promise<void> {
    const client = await this.connect();
    try {
      const holder = await this.wait(client);
      if (holder !== undefined) throw new Error(refusal(holder));
    } catch (error) {
      await client.end().catch(() => undefined);
      throw error;
    }
    this.keep(client);
  }

  async release(): Promise<void> {
    this.released = true;
    clearInterval(this.timer);
    await this.regaining;
    await this.client?.end().catch(() => undefined);
  }

  private async connect(): Promise<pg.Client> {
    const { url } = this.options;
    const client = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: ANSWER_TIMEOUT_MS,
      keepAlive: true,
      application_name: `${APPLICATION} ${process.pid}@${hostname()}`.slice(0, 63),
      ...(keepsConnections(url) ? { options: KEEP_ALIVE } : {}),
    });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  /** A pooler gives a connection away between two transactions, so there the lock lives in one that stays open. */
  private async tryLock(client: pg.Client): Promise<boolean> {
    const keeps = keepsConnections(this.options.url);
    if (!keeps) await client.query('BEGIN');
    const lock = keeps ? 'pg_try_advisory_lock' : 'pg_try_advisory_xact_lock';
    const { rows } = await client.query<{ locked: boolean }>(`SELECT ${lock}($1::bigint) AS locked`, [KEY]);
    if (!keeps && !rows[0]!.locked) await client.query('ROLLBACK');
    return rows[0]!.locked;
  }

  /** Undefined when the lock is ours; who has it, in words, when it was not to be had in time. */
  private async wait(client: pg.Client): Promise<string | undefined> {
    const startedAt = Date.now();
    let told = false;
    while (!(await this.tryLock(client))) {
      const { rows } = await client.query<Holder>(HOLDER, [KEY]);
      const waitedMs = Date.now() - startedAt;
      if (this.released || waitedMs > (this.options.waitMs ?? WAIT_MS)) return describe(rows[0]);
      if (waitedMs > SAY_AFTER_MS && !told) {
        this.options.log(`Waiting for ${describe(rows[0])}, which still has the database`);
        told = true;
      }
      await sleep(POLL_MS);
    }
    return undefined;
  }

  private keep(client: pg.Client): void {
    this.client = client;
    const onEnd = (): void => this.regain();
    client.once('end', onEnd);
    this.timer = setInterval(() => {
      client.query('SELECT 1').catch(() => this.regain());
    }, CHECK_INTERVAL_MS).unref();
  }

  private regain(): void {
    clearInterval(this.timer);
    if (this.released || this.regaining) return;
    this.regaining = this.regainLock().finally(() => (this.regaining = undefined));
  }

  /** As long as PostgreSQL is away nobody else can have it either. */
  private async regainLock(): Promise<void> {
    void this.client?.end().catch(() => undefined);
    this.client = undefined;
    while (!this.released) {
      const client = await this.connect().catch(() => undefined);
      const holder = client && (await this.wait(client).catch(() => null));
      if (client && holder === undefined && !this.released) return this.keep(client);
      await client?.end().catch(() => undefined);
      if (typeof holder === 'string' && !this.released) {
        this.released = true;
        return this.options.onLost(refusal(holder));
      }
      await sleep(RETRY_MS, undefined, { ref: false });
    }
  }
}

/** Called at boot before the migrations. Rejects with a sentence for the operator when another server has it. */
export async function ownDatabase(options: DatabaseOwnerOptions): Promise<DatabaseOwner> {
  const ownership = new Ownership(options);
  await ownership.acquire();
  return ownership;
}
