/** A project of its own for each test file, so that lists and pools hold what the file put there. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, inject } from 'vitest';
import { startEmbeddedPostgres } from '../../orchestrator/src/database/embedded-postgres.js';
import { Api } from './api.js';
import { readLog, type ServerAddress } from './server.js';
import type { SharedAddress, SharedKind } from './shared-server.js';

/** Runs work on the database of a server that is up. */
export async function onDatabase<T>(
  server: ServerAddress,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const postgres = await startEmbeddedPostgres({ dataDir: server.dataDir, log: () => undefined });
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
    await postgres.release();
  }
}

/** Makes a project and returns its key. */
export async function newProject(server: ServerAddress, name = 'test'): Promise<string> {
  const secret = `sk-test-${randomBytes(24).toString('hex')}`;
  const id = `proj_${randomBytes(12).toString('hex')}`;
  const hash = createHash('sha256').update(secret).digest('hex');
  await onDatabase(server, async (client) => {
    await client.query('INSERT INTO "Project" ("id", "name") VALUES ($1, $2)', [id, name]);
    await client.query(
      'INSERT INTO "ApiKey" ("id", "projectId", "name", "hash", "hint") VALUES ($1, $2, $3, $4, $5)',
      [`key_${randomBytes(12).toString('hex')}`, id, name, hash, secret.slice(-4)],
    );
  });
  return secret;
}

/** Prints what a server wrote during a test that failed. */
export function showLogOnFailure(server: () => Pick<ServerAddress, 'logFile'> | undefined): void {
  let start = 0;
  beforeEach(() => {
    const file = server()?.logFile;
    start = file !== undefined && existsSync(file) ? statSync(file).size : 0;
  });
  afterEach(({ task }) => {
    const known = server();
    if (known && task.result?.state === 'fail') {
      const log = readLog(known.logFile, start);
      if (log !== '') process.stderr.write(`--- log of "${task.name}"\n${log}\n---\n`);
    }
  });
}

/** The first file that asks waits until the server is up. */
const START_TIMEOUT_MS = 300_000;

export interface TestProject {
  readonly server: SharedAddress;
  readonly key: string;
  readonly api: Api;
}

/**
 * Call it once in a test file or a `describe`: gives the file a project on a shared server, and
 * takes its containers away at the end. Its fields may be read inside tests only.
 */
export function useProject(kind: SharedKind = 'plain'): TestProject {
  let server: SharedAddress | undefined;
  let api: Api | undefined;
  beforeAll(async () => {
    const reply = await fetch(`${inject('sharedServer')}/${kind}`);
    if (!reply.ok) throw new Error(await reply.text());
    server = (await reply.json()) as SharedAddress;
    api = new Api(server.url, await newProject(server));
  }, START_TIMEOUT_MS);
  showLogOnFailure(() => server);
  afterAll(async () => api?.deleteContainers());
  return {
    get server() {
      if (!server) throw new Error('there is no server yet');
      return server;
    },
    get api() {
      if (!api) throw new Error('there is no project yet');
      return api;
    },
    get key() {
      return this.api.key;
    },
  };
}
