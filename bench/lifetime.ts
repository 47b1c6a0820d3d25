/** The one server that a benchmark runs at a time: it ends with its steps, and with the program, however that ends. */
import { startServer, type ServerOptions, type TestServer } from '../test/support/server.js';
import { Client } from './client.js';

let running: { readonly server: TestServer; readonly client: Client } | undefined;
let isOver = false;

/** True once somebody has told the benchmark to end; nothing begins after that. */
export const isStopping = (): boolean => isOver;

async function stop(): Promise<void> {
  const known = running;
  running = undefined;
  known?.client.close();
  await known?.server.stop();
}

/** Called once, before the first server is started. */
export function endOnSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      isOver = true;
      void stop().finally(() => process.exit(1));
    });
  }
}

/** Starts it, and stops it when `work` is done or has failed; it does nothing once the benchmark is told to end. */
export async function withServer(
  env: ServerOptions['env'],
  work: (client: Client, server: TestServer) => Promise<void>,
): Promise<void> {
  if (isOver) return;
  const server = await startServer({ name: 'bench', ...(env && { env }) });
  running = { server, client: new Client(server) };
  try {
    await work(running.client, server);
  } finally {
    await stop();
  }
}
