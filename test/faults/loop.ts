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
import { checkLeftovers, checkPromises } from './invariants.js';
import { Ledger } from './ledger.js';
import { mountDisks, type OwnDisks, unmountDisks } from './own-disks.js';
import { type Chance, chanceOf } from './random.js';
import { Watch } from './watch.js';
import { nothingUsed, type Used, workUntil } from './work.js';

const ROUNDS = Number(process.env['FAULT_ROUNDS'] ?? 5);
const SEED = Number(process.env['FAULT_SEED'] ?? 1);
const ONLY = process.env['FAULT_ONLY'] ?? '';
const AGAIN = `npm run test:faults -- ${ROUNDS} --seed ${SEED}${ONLY === '' ? '' : ` --only '${ONLY}'`}`;
const HANDS = 4;
/** Rounds until everything is deleted and looked for: sandboxes that start are most of what rounds cost. */
const STRETCH = 5;
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

interface Round {
  readonly number: number;
  readonly fault: Fault;
}

/** Every fault as often as the others, in an order of the seed's. */
function plan(): Round[] {
  const chance = chanceOf(SEED);
  const faults: Fault[] = [];
  while (faults.length < ROUNDS && wanted.length > 0) faults.push(...chance.shuffled(wanted));
  return faults.slice(0, ROUNDS).map((fault, index) => ({ number: index + 1, fault }));
}

let server: TestServer;
let disks: OwnDisks | undefined;
let lastRound = 0;

/** Rounds with the same project, containers and chats; at its end everything is deleted, and nothing may be left. */
interface Stretch {
  readonly api: Api;
  readonly client: OpenAI;
  readonly ledger: Ledger;
  readonly used: Used;
  readonly rounds: string[];
}

let stretch: Stretch | undefined;

async function newStretch(name: string): Promise<Stretch> {
  const api = new Api(server.url, await newProject(server, name));
  const client = new OpenAI({
    baseURL: server.url,
    apiKey: api.key,
    maxRetries: 0,
    timeout: REQUEST_TIMEOUT_MS,
  });
  return { api, client, ledger: new Ledger(), used: nothingUsed(), rounds: [] };
}

/** Work, and in its midst the fault. */
async function breakUnderWork(fault: Fault, chance: Chance, watch: Watch): Promise<void> {
  const { api, client, ledger, used } = stretch!;
  const over = new AbortController();
  const hands = Array.from({ length: HANDS }, () => ({
    client,
    ledger,
    used,
    chance: chanceOf(chance.whole(0, 2 ** 31)),
  }));
  const work = workUntil(over.signal, hands);
  await sleep(chance.whole(500, 2_000));
  watch.lap('work');
  try {
    await fault.happen({ server, api, chance, disks });
    watch.lap('fault');
    await sleep(chance.whole(500, 1_500));
  } finally {
    over.abort();
    await work;
  }
  watch.lap('work');
}

/** Registers the rounds of the plan that break the engine, or those that do not; to be called once in a test file. */
export function faultLoop(breaks: Fault['breaks']): void {
  const rounds = plan().filter(({ fault }) => fault.breaks === breaks);
  lastRound = rounds.at(-1)?.number ?? 0;
  describe.skipIf(rounds.length === 0)(`faults of seed ${SEED}`, () => {
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

    it.each(rounds.map(({ number, fault }) => [number, fault.name, fault] as const))(
      'round %i, %s: what was promised is there, and nothing is left',
      run,
      ROUND_TIMEOUT_MS,
    );
  });
}

async function run(round: number, name: string, fault: Fault): Promise<void> {
  const isPossible = fault.possible?.({ disks }) ?? true;
  if (!isPossible) process.stdout.write(`round ${round}: ${name} is not possible here; the rest is run\n`);
  const chosen = isPossible ? fault : { ...fault, happen: () => Promise.resolve() };
  stretch ??= await newStretch(`from round ${round}`);
  const { api, ledger, rounds } = stretch;
  rounds.push(`${round} (${name})`);
  ledger.nextRound();
  const [pid, watch] = [server.pid, new Watch()];
  const isLast = rounds.length >= STRETCH || round === lastRound;
  try {
    await breakUnderWork(chosen, chanceOf(SEED * 10_007 + round), watch);
    const checked = { server, api, ledger, pool: POOL, watch };
    await checkPromises(checked);
    if (isLast) await checkLeftovers(checked);
    tell(`round ${round}, ${name}`, ledger, watch);
    if (!name.startsWith('server') || name.startsWith('server paused')) expect(server.pid).toBe(pid);
    expect(ledger.oddities, `rounds ${rounds.join(', ')}; again: ${AGAIN}`).toEqual([]);
    if (isLast) stretch = undefined;
  } catch (error) {
    // What went wrong here says nothing about the next rounds.
    stretch = undefined;
    await api.deleteContainers().catch(() => undefined);
    throw error;
  }
}

function tell(round: string, { ends, files, slowest }: Ledger, watch: Watch): void {
  const counts = [...ends].map(([end, times]) => `${end}: ${times}`).join(', ');
  const longest = `${slowest.name} ${(slowest.ms / 1_000).toFixed(1)} s`;
  process.stdout.write(
    `${round}: ${counts}; kept ${files.length} files; ${watch.told()}; slowest: ${longest}\n`,
  );
}
