/**
 * The compiled server with the fake driver, as a process that can be killed: `main.ts PATH_OF_MAIN_JS`.
 * Everything above the port of the sandboxes is the real thing.
 */
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { RunningServer } from '../../../orchestrator/src/boot.js';
import type { Env } from '../../../orchestrator/src/config/env.schema.js';
import type { SandboxDriver } from '../../../orchestrator/src/sandboxes/sandbox.driver.js';
import { FakeSandboxDriver } from '../sandboxes/fake.driver.js';

/** Decorators need the compiler, so these come from where it put them. */
const compiled = (path: string): Promise<unknown> =>
  import(pathToFileURL(join(dirname(process.argv[2]!), path)).href);

await compiled('../../node_modules/reflect-metadata/Reflect.js');
const { boot } = (await compiled('boot.js')) as {
  boot: (env: Env, options: { driver: SandboxDriver }) => Promise<RunningServer>;
};
const { loadEnv } = (await compiled('config/env.js')) as { loadEnv: () => Env };

const server = await boot(loadEnv(), { driver: new FakeSandboxDriver() });
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void server.stop().then(() => process.exit(0)));
}
