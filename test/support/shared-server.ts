/**
 * The servers of a test run that its files share, each started when the first file asks for it. They live
 * in the main process of the runner, because test files come and go in processes of their own.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestProject } from 'vitest/node';
import { reservedPort } from './child.js';
import { MODEL_KEY, modelProviders } from './model-providers.js';
import { type ServerAddress, startServer, type TestServer } from './server.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** Answers `GET /<kind>` with the address of that server, and `POST /<kind>` after a restart of it. */
    readonly sharedServer: string;
  }
}

/** `plain` knows no model endpoint. `models` asks the one that a test file opens at `modelPort`. */
export type SharedKind = 'plain' | 'models';

export interface SharedAddress extends ServerAddress {
  /** Of the loopback; nobody listens there between test files. */
  readonly modelPort: number;
}

/** Short where a test would wait, small where it would send a lot. */
const PLAIN = { SANDBOX_POOL: '1g=2', SSE_KEEPALIVE_MS: '5000', MAX_FILE_BYTES: '32m' };

interface Shared extends SharedAddress {
  readonly server: TestServer;
}

const starts: Readonly<Record<SharedKind, () => Promise<Shared>>> = {
  plain: async () => describe(await startServer({ name: 'shared', env: PLAIN }), 0),
  models: async () => {
    const port = await reservedPort();
    const providers = modelProviders(`http://127.0.0.1:${port}/v1`, MODEL_KEY);
    const env = { SANDBOX_POOL: '1g=1', MODEL_PROVIDERS: JSON.stringify(providers) };
    return describe(await startServer({ name: 'models', env }), port);
  },
};

function describe(server: TestServer, modelPort: number): Shared {
  const { url, origin, apiKey, adminKey, dataDir, logFile } = server;
  return { server, modelPort, url, origin, apiKey, adminKey, dataDir, logFile };
}

const running = new Map<SharedKind, Promise<Shared>>();

async function answer(kind: SharedKind, restart: boolean): Promise<SharedAddress> {
  const known = running.get(kind) ?? starts[kind]();
  running.set(kind, known);
  try {
    const { server, ...address } = await known;
    if (restart) await server.restart();
    return address;
  } catch (error) {
    running.delete(kind);
    throw error;
  }
}

const desk = createServer((request, reply) => {
  const kind = request.url === '/models' ? 'models' : 'plain';
  answer(kind, request.method === 'POST').then(
    (address) => reply.end(JSON.stringify(address)),
    (error: unknown) => reply.writeHead(500).end(String(error)),
  );
});

/** Called by vitest once before the first test file. */
export async function setup(project: TestProject): Promise<void> {
  await new Promise<void>((done) => void desk.listen(0, '127.0.0.1', done));
  project.provide('sharedServer', `http://127.0.0.1:${(desk.address() as AddressInfo).port}`);
}

/** Called by vitest after the last one. */
export async function teardown(): Promise<void> {
  desk.close();
  const stop = async (start: Promise<Shared>) => (await start.catch(() => undefined))?.server.stop();
  await Promise.all([...running.values()].map(stop));
}
