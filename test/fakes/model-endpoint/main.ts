/**
 * The fake endpoint as a process: `node test/fakes/model-endpoint/main.ts [PORT]` prints its base URL
 * and serves until it is told to stop.
 */
import { ModelEndpoint } from './server.ts';

const endpoint = await new ModelEndpoint().start(Number(process.argv[2] ?? 0));
process.stdout.write(`${endpoint.url}\n`);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void endpoint.stop());
