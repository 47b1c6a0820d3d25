/** Starts the server: configuration, database, sandbox driver, HTTP; and takes it all down again. */
import 'reflect-metadata';
import { Logger } from '@nestjs/common';
import { writeFileSync } from 'node:fs';
import { boot } from './boot.js';
import { loadEnv } from './config/env.js';

/**
 * When the host runs out of memory, its kernel chooses: sandboxes long before this server and the PostgreSQL
 * it starts, which inherits the value. -1000 would be never.
 */
const OOM_SCORE_ADJ = '-500';

/** Needs root or CAP_SYS_RESOURCE; without, sandboxes still come first (container-config.ts). */
function beAmongTheLastKilled(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', OOM_SCORE_ADJ);
  } catch {
    // Not allowed here.
  }
}

/** A failure that nobody waited for is a defect to be read about, and no reason to end everybody's work. */
function surviveLostFailures(): void {
  const logger = new Logger('Process');
  process.on('unhandledRejection', (reason) => {
    logger.error({ err: reason }, 'a failure that nobody waited for');
  });
}

async function main(): Promise<void> {
  beAmongTheLastKilled();
  surviveLostFailures();
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
