/**
 * The fault loop: under mixed work one thing breaks per round, and afterwards everything that was promised
 * must be there and nothing may be left. The same seed gives the same faults, work and pauses:
 *
 *   npm run test:faults -- 300 --seed 7     FAULT_ROUNDS, FAULT_SEED; FAULT_ONLY is a part of a fault's name
 */
import OpenAI from 'openai';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api } from '../support/api.js';
import { newProject, showLogOnFailure } from '../support/project.js';
import { startServer, type TestServer } from '../support/server.js';
import { type Fault, FAULTS, LEASE_MS } from './faults.js';
import { check } from './invariants.js';
import { Ledger } from './ledger.js';
import { mountDisks, type OwnDisks, unmountDisks } from './own-disks.js';
import { type Chance, chanceOf } from './random.js';
import { Watch } from './watch.js';
import { workUntil } from './work.js';

const ROUNDS = Number(process.env['FAULT_ROUNDS'] ?? 5);
const SEED = Number(process.env['FAULT_SEED'] ?? 1);
const ONLY = process.env['FAULT_ONLY'] ?? '';
const AGAIN = `npm run test:faults -- ${ROUNDS} --seed ${SEED}${ONLY === '' ? '' : ` --only '${ONLY}'`}`;
const HANDS = 4;
const POOL = 1;
const START_TIMEOUT_MS = 300_000;
/** Every wait in a round has its own bound; this one is above their sum. */
const ROUND_TIMEOUT_MS = 900_000;
/** Longest that one request may take, a paused server included. */
const REQUEST_TIMEOUT_MS = 90_000;
const ENV = {
  SANDBOX_POOL: `1g=${POOL}`,
  SWEEP_INTERVAL_MS: '2000',
  RETENTION_INTERVAL_MS: '5000',
  RESPONSE_LEASE_SECONDS: String(LEASE_MS / 1000),
  DISK_FLOOR_BYTES: '8m',
};

const wanted = FAULTS.filter(({ name }) => name.includes(ONLY));

/** Every fault as often as the others, in an order of the seed's. */
function plan(): Fault[] {
  const chance = chanceOf(SEED);
  const rounds: Fault[] = [];
  while (rounds.length < ROUNDS && wanted.length > 0) rounds.push(...chance.shuffled(wanted));
  return rounds.slice(0, ROUNDS);
}

let server: TestServer;
let disks: OwnDisks | undefined;
showLogOnFailure(() => server);

beforeAll(async () => {
  server = await startServer({ name: 'faults', env: ENV });
  await server.kill('SIGTERM');
  disks = mountDisks(server);
  await server.start();
}, START_TIMEOUT_MS);
afterAll(async () => {
  await server?.kill('SIGTERM');
  unmountDisks(disks);
  await server?.stop();
}, START_TIMEOUT_MS);

async function roundOf(fault: Fault, chance: Chance): Promise<{ ledger: Ledger; watch: Watch }> {
  const [ledger, key] = [new Ledger(), await newProject(server, fault.name)];
  const api = new Api(server.url, key);
  const client = new OpenAI({
    baseURL: server.url,
    apiKey: key,
    maxRetries: 0,
    timeout: REQUEST_TIMEOUT_MS,
  });
  const over = new AbortController();
  const hands = Array.from({ length: HANDS }, () => ({
    client,
    ledger,
    chance: chanceOf(chance.whole(0, 2 ** 31)),
  }));
  const watch = new Watch();
  const work = workUntil(over.signal, hands);
  await sleep(chance.whole(300, 2_000));
  watch.lap('work');
  try {
    await fault.happen({ server, api, chance, disks });
    watch.lap('fault');
    await sleep(chance.whole(300, 1_000));
  } finally {
    over.abort();
    await work;
  }
  watch.lap('work');
  await check({ server, api, ledger, pool: POOL, watch });
  return { ledger, watch };
}

describe(`faults of seed ${SEED}`, () => {
  it.each(plan().map((fault, index) => [index + 1, fault.name, fault] as const))(
    'round %i, %s: what was promised is there, and nothing is left',
    async (round, name, fault) => {
      if (fault.possible && !fault.possible({ disks })) {
        process.stdout.write(`round ${round}: ${name} is not possible here; the rest of it is run\n`);
      }
      const happens = fault.possible?.({ disks }) ?? true;
      const chosen = happens ? fault : { name, happen: () => Promise.resolve() };
      const pid = server.pid;
      const { ledger, watch } = await roundOf(chosen, chanceOf(SEED * 10_007 + round));
      const { name: slow, ms } = ledger.slowest;
      const ends = [...ledger.ends].map(([end, times]) => `${end}: ${times}`).join(', ');
      process.stdout.write(
        `round ${round}, ${name}: ${ends}; kept ${ledger.files.length} files; ${watch.told()}; slowest: ${slow} ${(ms / 1000).toFixed(1)} s\n`,
      );
      if (!name.startsWith('server') || name.startsWith('server paused')) expect(server.pid).toBe(pid);
      const told = `round ${round}, ${name}; again: ${AGAIN}`;
      expect(ledger.oddities, told).toEqual([]);
    },
    ROUND_TIMEOUT_MS,
  );
});
