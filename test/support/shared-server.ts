/**
 * The one server of a test run, started when the first test file asks for it. It lives in the main
 * process of the runner, because test files come and go in processes of their own.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestProject } from 'vitest/node';
import { startServer, type TestServer } from './server.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** Answers with the address of the shared server. */
    readonly sharedServer: string;
  }
}

/** Short where a test would wait, small where it would send a lot. */
const ENV = { SANDBOX_POOL: '1g=2', SSE_KEEPALIVE_MS: '5000', MAX_FILE_BYTES: '32m' };

let server: Promise<TestServer> | undefined;

const desk = createServer((_, reply) => {
  server ??= startServer({ name: 'shared', env: ENV });
  server.then(
    ({ url, origin, apiKey, adminKey, dataDir, logFile }) =>
      reply.end(JSON.stringify({ url, origin, apiKey, adminKey, dataDir, logFile })),
    (error: unknown) => {
      server = undefined;
      reply.writeHead(500).end(String(error));
    },
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
  const started = await server?.catch(() => undefined);
  await started?.stop();
}
