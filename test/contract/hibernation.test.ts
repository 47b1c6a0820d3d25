/**
 * Variables outlive idling, restarts of the server and its death at any moment of falling asleep and waking up; where
 * they do not, that is said, and files are there.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Api, type Execution, type Page } from '../support/api.js';
import { showLogOnFailure } from '../support/project.js';
import { startServer, type TestServer } from '../support/server.js';

const START_TIMEOUT_MS = 300_000;
/** Falling asleep and waking up take half a second each; kills come before, in and after that. */
const ROUNDS = 6;
const SPREAD_MS = 700;

let server: TestServer;
let api: Api;
showLogOnFailure(() => server);

beforeAll(async () => {
  server = await startServer({
    name: 'hibernation',
    env: { SANDBOX_POOL: '1g=1', HIBERNATE_AFTER_SECONDS: '1', SWEEP_INTERVAL_MS: '2000' },
  });
  api = new Api(server.url, server.apiKey);
}, START_TIMEOUT_MS);
afterAll(async () => server?.stop());

const newContainer = async () =>
  (await api.ok<{ id: string }>('POST', '/containers', { name: 'sleeper' })).id;
const run = (container: string, code: string) =>
  api.ok<Execution>('POST', `/containers/${container}/executions`, { code });
const stdout = (execution: Execution) =>
  execution.outputs.flatMap(({ type, text }) => (type === 'stdout' ? (text ?? '') : [])).join('');
const asleep = () => {
  const dir = join(server.dataDir, 'asleep');
  return existsSync(dir) ? readdirSync(dir).filter((name) => name.endsWith('.sleep')) : [];
};
const untilAsleep = (count: number) => vi.waitUntil(() => asleep().length === count, { timeout: 30_000 });

/** `value` of before, or a word that it is lost; never another one. The file is there either way. */
async function goesOn(container: string, value: number): Promise<'kept' | 'lost'> {
  const code = `print(open('/mnt/data/value.txt').read(), globals().get('value', 'lost'))`;
  const reply = await run(container, code);
  const [file, variable] = stdout(reply).trim().split(' ');
  expect([reply.status, file]).toEqual(['completed', String(value)]);
  expect(variable).toBe(reply.state_lost ? 'lost' : String(value));
  return reply.state_lost ? 'lost' : 'kept';
}

async function set(container: string, value: number): Promise<void> {
  const reply = await run(
    container,
    `value = ${value}\n_ = open('/mnt/data/value.txt', 'w').write(str(value))`,
  );
  expect(reply.status).toBe('completed');
}

describe('an idle container', () => {
  it('sleeps without a sandbox, and goes on with its variables', async () => {
    const id = await newContainer();
    await set(id, 1);
    await untilAsleep(1);
    // The spare one alone is awake.
    await vi.waitUntil(async () => (await server.sandboxes()).length === 1, {
      timeout: 10_000,
      interval: 200,
    });
    expect(await api.ok('GET', `/containers/${id}`)).toMatchObject({ status: 'running' });
    const files = await api.ok<Page<{ path: string }>>('GET', `/containers/${id}/files`);
    expect(files.data.map(({ path }) => path)).toEqual(['/mnt/data/value.txt']);
    expect(await goesOn(id, 1)).toBe('kept');
    expect(asleep()).toEqual([]);
    await api.ok('DELETE', `/containers/${id}`);
  });

  it('finds its variables after the server was killed while it slept', async () => {
    const id = await newContainer();
    await set(id, 2);
    await untilAsleep(1);
    await server.restart('SIGKILL');
    expect(await goesOn(id, 2)).toBe('kept');
    await api.ok('DELETE', `/containers/${id}`);
    expect(asleep()).toEqual([]);
  });

  it('finds them after a stop that ends the engine as well', async () => {
    const id = await newContainer();
    await server.kill('SIGTERM');
    await server.start({ SANDBOXES_AT_STOP: 'remove' });
    await set(id, 3);
    await server.kill('SIGTERM');
    expect([asleep().length, (await server.sandboxes()).length]).toEqual([1, 0]);
    await server.start();
    expect(await goesOn(id, 3)).toBe('kept');
    await api.ok('DELETE', `/containers/${id}`);
  });
});

describe('a server that is killed', { timeout: 300_000 }, () => {
  it.each(['falls asleep', 'wakes up'])(
    'while a container %s loses no file, and no word is wrong',
    async (when) => {
      const id = await newContainer();
      const outcomes: string[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        const value = 10 + round;
        await set(id, value);
        if (when === 'wakes up') {
          await untilAsleep(1);
          void run(id, `_ = open('/mnt/data/value.txt').read()`).catch(() => undefined);
        } else {
          // The first look that finds it idle comes one to three seconds later.
          await vi.waitUntil(() => falling() || asleep().length === 1, { timeout: 30_000, interval: 5 });
        }
        await sleep((SPREAD_MS * round) / ROUNDS);
        await server.restart('SIGKILL');
        outcomes.push(await goesOn(id, value));
      }
      // A sandbox that was written down, or not yet parked, is never lost: most rounds meet these.
      expect(outcomes).toContain('kept');
      await api.ok('DELETE', `/containers/${id}`);
      await vi.waitUntil(async () => (await server.sandboxes()).length === 1 && asleep().length === 0, {
        timeout: 60_000,
        interval: 500,
      });
    },
  );
});

/** A sandbox is being written down. */
function falling(): boolean {
  const root = join(server.dataDir, 'sandboxes');
  return readdirSync(root).some((name) => {
    try {
      return readdirSync(join(root, name, 'image')).length > 0;
    } catch {
      // It has gone meanwhile.
      return false;
    }
  });
}
