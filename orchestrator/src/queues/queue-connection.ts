import { Logger } from '@nestjs/common';
import {
  type ConnectionOptions,
  createPostgresBackend,
  runMigrations,
  setDefaultBackendFactory,
} from 'bullmq';
import pg from 'pg';
import { keepsConnections } from '../database/statement-names.js';
import { TIME_LIMITS } from '../database/time-limits.js';
import { QUEUE_NAMES } from './queue-names.js';
import { logSeldom } from './quiet-log.js';

export interface QueuesOptions {
  /** PostgreSQL that holds the jobs, in a schema of their own. */
  readonly databaseUrl: string;
  /** When given, the jobs live there and PostgreSQL is not used for them. */
  readonly redisUrl?: string | undefined;
}

const SCHEMA = 'bullmq';
const SEARCH_PATH = `-c search_path=${SCHEMA}`;
/** Each worker keeps one connection to be told of new jobs; queries share the rest. */
const POOL_SIZE = QUEUE_NAMES.length + 6;
/** A busy machine may take long over a connection; jobs can wait. */
const CONNECT_TIMEOUT_MS = 30_000;

/** What all queues and workers of the process share. Opened before the first queue, closed after the last. */
export interface QueueConnection {
  readonly options: ConnectionOptions;
  close(): Promise<void>;
}

/** On a connection of its own, which may take as long as it takes. */
async function migrateQueues(databaseUrl: string): Promise<void> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    options: SEARCH_PATH,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    application_name: 'code-interpreter-migrate',
  });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await runMigrations(client, SCHEMA);
  } catch (error) {
    throw new Error(
      `The job queues cannot be set up in PostgreSQL: ${(error as Error).message}. ` +
        'The role in DATABASE_URL must be allowed to create a schema (GRANT CREATE ON DATABASE).',
      { cause: error },
    );
  } finally {
    await client.end();
  }
}

async function openPostgres(databaseUrl: string): Promise<QueueConnection> {
  setDefaultBackendFactory(createPostgresBackend);
  await migrateQueues(databaseUrl);
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    options: SEARCH_PATH,
    ...(keepsConnections(databaseUrl) ? TIME_LIMITS : {}),
    max: POOL_SIZE,
    keepAlive: true,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    application_name: 'code-interpreter-queues',
  });
  // Each queue and each worker listens as well.
  pool.setMaxListeners(2 * QUEUE_NAMES.length + 10);
  pool.on('error', logSeldom(new Logger('Queues'), 'connection'));
  // BullMQ's type of a connection speaks of Redis; its PostgreSQL backend takes a pool.
  return { options: pool as unknown as ConnectionOptions, close: () => pool.end() };
}

function openRedis(redisUrl: string): QueueConnection {
  setDefaultBackendFactory();
  return { options: { url: redisUrl, maxRetriesPerRequest: null }, close: async () => undefined };
}

/** Called once at boot. Throws a sentence for the operator when the jobs have no place to live. */
export async function openQueueConnection(options: QueuesOptions): Promise<QueueConnection> {
  return options.redisUrl === undefined ? openPostgres(options.databaseUrl) : openRedis(options.redisUrl);
}
