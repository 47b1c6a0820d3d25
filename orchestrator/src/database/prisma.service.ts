import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { PrismaPg } from '@prisma/adapter-pg';
import { Prisma, PrismaClient } from './generated/client.js';
import { keepsConnections, statementNames } from './statement-names.js';
import { TIME_LIMITS } from './time-limits.js';

/** How to reach PostgreSQL. */
export interface DatabaseOptions {
  /** `postgresql://` URL, with user and password. */
  readonly url: string;
  /** Most connections held at the same time; default 10. */
  readonly poolSize?: number;
}

/** Injection token of `DatabaseOptions`. */
export const DATABASE_OPTIONS = Symbol('DATABASE_OPTIONS');

const DEFAULT_POOL_SIZE = 10;
/** Counts the wait for a free connection too, so a crowd of requests waits in line instead of failing. */
const CONNECT_TIMEOUT_MS = 30_000;
const IDLE_TIMEOUT_MS = 30_000;
/** Counts the wait for locks; those that many requests want are held for milliseconds each. */
const TRANSACTION_TIMEOUT_MS = 30_000;

/**
 * The one Prisma client of the process. Repositories inject it; nothing else does. It reconnects by
 * itself after PostgreSQL restarts: the queries in flight fail, the next ones get a new connection.
 */
@Injectable()
export class PrismaService extends PrismaClient implements OnModuleInit, OnApplicationShutdown {
  constructor(@Inject(DATABASE_OPTIONS) options: DatabaseOptions) {
    const pool = {
      connectionString: options.url,
      max: options.poolSize ?? DEFAULT_POOL_SIZE,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      idleTimeoutMillis: IDLE_TIMEOUT_MS,
      application_name: 'code-interpreter',
      keepAlive: true,
      ...(keepsConnections(options.url) ? TIME_LIMITS : {}),
    };
    // A connection that dies while idle is only dropped from the pool; whoever queries next learns more.
    const ignore = (): void => undefined;
    super({
      adapter: new PrismaPg(pool, {
        onPoolError: ignore,
        onConnectionError: ignore,
        ...(keepsConnections(options.url) ? { statementNameGenerator: statementNames() } : {}),
      }),
      errorFormat: 'minimal',
      transactionOptions: { maxWait: CONNECT_TIMEOUT_MS, timeout: TRANSACTION_TIMEOUT_MS },
    });
  }

  async onModuleInit(): Promise<void> {
    await this.$connect();
  }

  /** Not earlier: until here requests and jobs may still finish. */
  async onApplicationShutdown(): Promise<void> {
    await this.$disconnect();
  }
}

const UNIQUE_VIOLATION = 'P2002';
const RECORD_NOT_FOUND = 'P2025';

const isKnown = (error: unknown, code: string): boolean =>
  error instanceof Prisma.PrismaClientKnownRequestError && error.code === code;

/** Whether a write failed because another row has the same unique value. */
export const isUniqueViolation = (error: unknown): boolean => isKnown(error, UNIQUE_VIOLATION);

/** Whether `update`, `delete` or `…OrThrow` found no row. */
export const isRecordNotFound = (error: unknown): boolean => isKnown(error, RECORD_NOT_FOUND);
