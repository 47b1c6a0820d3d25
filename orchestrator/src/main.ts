/** Starts the server: configuration, database, sandbox driver, HTTP; and takes it all down again. */
import 'reflect-metadata';
import { boot } from './boot.js';
import { loadEnv } from './config/env.js';

async function main(): Promise<void> {
  const server = await boot(loadEnv());
  let stopping = false;
  const stop = (signal: string) => {
    if (stopping) return;
    stopping = true;
    process.stderr.write(`\n${signal}: stopping\n`);
    void server.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`Could not stop cleanly: ${(error as Error).message}\n`);
        process.exit(1);
      },
    );
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop(signal));
  void server.lost.then((sentence) => {
    process.stderr.write(`${sentence}\n`);
    process.exit(1);
  });
  process.stdout.write(server.greeting);
}

main().catch((error: unknown) => {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exit(1);
});
