/** Puts the parts together in order, and stops them in the reverse one (docs/architecture.md). */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Logger } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { pino } from 'pino';
import { AppModule } from './app.module.js';
import { AuthService } from './auth/auth.service.js';
import { SecretBox } from './auth/secret-box.js';
import { settledWithin } from './common/settled-within.js';
import type { Env } from './config/env.schema.js';
import { type DatabaseOwner, ownDatabase } from './database/database-owner.js';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './database/embedded-postgres.js';
import { type FolderOwner, ownFolder } from './database/folder-owner.js';
import { migrate } from './database/migrate.js';
import { DrainService } from './drain/drain.service.js';
import { greeting } from './greeting.js';
import { createApp } from './http/create-app.js';
import { QueuesLifecycle } from './queues/queues.lifecycle.js';
import { DockerSandboxDriver } from './sandboxes/docker/docker.driver.js';
import { RunningWork } from './sandboxes/running-work.js';
import type { SandboxDriver } from './sandboxes/sandbox.driver.js';

/**
 * Milliseconds after the server was told to stop until running code is interrupted, until the connections
 * of requests that still wait are closed, and until the rest is left as it is. Whoever stops a server
 * kills it after 30 s or more, and PostgreSQL has to be stopped before.
 */
const LAST_CODE_MS = 8_000;
const LAST_REQUESTS_MS = 12_000;
const LAST_OF_ALL_MS = 25_000;

export interface RunningServer {
  readonly app: NestFastifyApplication;
  /** Base URL of the API. */
  readonly url: string;
  /** What a person who started it wants to read. */
  readonly greeting: string;
  /**
   * Resolves, with a sentence, when another server has taken the database over. The process must end then, at
   * once and without writing anything more.
   */
  readonly lost: Promise<string>;
  stop(): Promise<void>;
}

/** Says whose sandboxes are whose when several installations share an engine. */
function installationId(dataDir: string): string {
  const path = join(dataDir, 'installation-id');
  if (existsSync(path)) return readFileSync(path, 'utf8').trim();
  const id = randomBytes(8).toString('hex');
  writeFileSync(path, `${id}\n`, { mode: 0o600 });
  return id;
}

function makeDriver(env: Env, dataDir: string): SandboxDriver {
  return new DockerSandboxDriver({
    ...(env.DOCKER_HOST === undefined ? {} : { dockerHost: env.DOCKER_HOST }),
    runtime: env.SANDBOX_RUNTIME,
    image: env.SANDBOX_IMAGE,
    channelDir: resolve(env.SANDBOX_CHANNEL_DIR ?? join(dataDir, 'sandboxes')),
    installationId: installationId(dataDir),
    maxProcesses: env.SANDBOX_MAX_PROCESSES,
    preload: env.SANDBOX_PRELOAD,
    ...(env.SANDBOX_CPUS === undefined ? {} : { cpus: env.SANDBOX_CPUS }),
    ...(env.SANDBOX_CGROUP_PARENT === undefined ? {} : { cgroupParent: env.SANDBOX_CGROUP_PARENT }),
    floorBytes: env.MEMORY_FLOOR_BYTES,
    headroomBytes: env.SANDBOX_HEADROOM_BYTES,
    startTimeoutMs: env.SANDBOX_START_TIMEOUT_MS,
    ...(env.SANDBOX_CLONES
      ? {
          templates: {
            dir: resolve(env.SANDBOX_TEMPLATE_DIR ?? join(dataDir, 'templates')),
            dataBytes: env.SANDBOX_DATA_BYTES,
          },
        }
      : {}),
    hibernation: {
      dir: join(dataDir, 'asleep'),
      key: new SecretBox(env).derive('sleeping sandboxes'),
      // Those that sleep already wake also where no other is to follow them.
      mostBytes: env.HIBERNATE_AFTER_SECONDS > 0 ? env.HIBERNATE_LARGEST_BYTES : 0,
      floorBytes: env.DISK_FLOOR_BYTES,
    },
    allowInsecure: env.ALLOW_INSECURE_SANDBOX,
    logger: pino({ level: env.LOG_LEVEL, name: 'sandboxes' }),
  });
}

/** Refuses to start on an engine that cannot keep code apart from the host. */
async function checkDriver(driver: SandboxDriver, env: Env): Promise<void> {
  const health = await driver.check();
  if (health.isolation !== 'gvisor' && !(env.SANDBOX_RUNTIME === 'runc' && env.ALLOW_INSECURE_SANDBOX)) {
    throw new Error(
      `The sandbox engine is not usable:\n  ${health.problems.join('\n  ')}\nRun 'npm run doctor' for more.`,
    );
  }
  if (health.isolation !== 'gvisor') {
    process.stderr.write(
      'WARNING: sandboxes run without gVisor (ALLOW_INSECURE_SANDBOX=1). Code shares the host kernel. For trusted code only.\n',
    );
  }
}

/**
 * New work is refused, code that runs may end, then everything closes. Nothing that fails or hangs, such as
 * an engine that is gone, keeps what comes after it from being stopped. Never rejects.
 */
async function close(app: NestFastifyApplication): Promise<void> {
  const failed = (error: unknown) => new Logger('Stop').error({ err: error }, 'a part could not be stopped');
  // A client may wait for a model that says nothing, for as long as the model's time limit is.
  const cut = setTimeout(() => app.getHttpServer().closeAllConnections(), LAST_REQUESTS_MS);
  const inOrder = async () => {
    // Background responses are given back first: what they run next would be refused here.
    app.get(QueuesLifecycle).letGo();
    const drained = app.get(DrainService).drain();
    await app.get(RunningWork, { strict: false }).settle(LAST_CODE_MS).catch(failed);
    await settledWithin(LAST_CODE_MS, drained);
    await app.close().catch(failed);
  };
  await settledWithin(LAST_OF_ALL_MS, inOrder());
  clearTimeout(cut);
}

export interface BootOptions {
  /** For tests: a driver that is used instead of Docker's. */
  readonly driver?: SandboxDriver;
}

/** Rejects with a message for the operator; what was started by then is stopped again. */
export async function boot(env: Env, options: BootOptions = {}): Promise<RunningServer> {
  const dataDir = resolve(env.DATA_DIR);
  mkdirSync(dataDir, { recursive: true });
  const say = (message: string) => process.stderr.write(`${message}\n`);
  const driver = options.driver ?? makeDriver(env, dataDir);
  const lost = Promise.withResolvers<string>();
  let folder: FolderOwner | undefined;
  let database: DatabaseOwner | undefined;
  let postgres: EmbeddedPostgres | undefined;
  let app: NestFastifyApplication | undefined;
  const stop = async () => {
    if (app) await close(app);
    await database?.release();
    await postgres?.stop();
    await folder?.release();
  };
  try {
    folder = await ownFolder(dataDir);
    const checked = checkDriver(driver, env);
    if (env.DATABASE_URL === undefined) postgres = await startEmbeddedPostgres({ dataDir, log: say });
    const databaseUrl = env.DATABASE_URL ?? postgres!.url;
    database = await ownDatabase({ url: databaseUrl, onLost: lost.resolve, log: say });
    await Promise.all([migrate({ url: databaseUrl }), checked]);
    app = await createApp(
      AppModule.forRoot({ env, databaseUrl, blobDir: join(dataDir, 'blobs'), driver }),
      env,
    );
    await app.listen(env.PORT, env.HOST);
    const url = `${await app.getUrl()}/${env.API_PREFIX}`;
    const greet = greeting({ env, url, dataDir, key: app.get(AuthService).firstKey });
    return { app, url, greeting: greet, lost: lost.promise, stop };
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
}
