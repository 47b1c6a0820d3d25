/**
 * An hour of mixed work by the official client: after each shift its project is deleted with all it held,
 * and what the server holds then must not grow from shift to shift.
 *
 *   npm run test:soak -- 240     SOAK_MINUTES, SOAK_SEED
 */
import OpenAI from 'openai';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkLeftovers, checkPromises } from '../faults/invariants.js';
import { Ledger } from '../faults/ledger.js';
import { chanceOf } from '../faults/random.js';
import { nothingUsed, workUntil } from '../faults/work.js';
import { Api, eventually } from '../support/api.js';
import { showLogOnFailure } from '../support/project.js';
import { startServer, type TestServer } from '../support/server.js';
import { growth, median } from './trend.js';
import { readVitals, type Vital, type Vitals } from './vitals.js';

const MINUTES = Number(process.env['SOAK_MINUTES'] ?? 60);
const SEED = Number(process.env['SOAK_SEED'] ?? 1);
const SHIFT_MS = 60_000;
/** Fewer than these tell nothing about a trend. */
const LEAST_SHIFTS = 6;
const HANDS = 4;
const POOL = 1;
const GONE_TIMEOUT_MS = 60_000;
const REQUEST_TIMEOUT_MS = 60_000;
const MIB = 1024 * 1024;

/**
 * What each may grow by over the second half of the shifts. Memory of a process that collects garbage
 * wanders by tens of megabytes; the others are counts and come back to what they were, but for connections
 * and workers that are just being closed.
 */
const TOLERANCE: Readonly<Record<Vital, number>> = {
  resident_bytes: 48 * MIB,
  database_resident_bytes: 32 * MIB,
  descriptors: 8,
  threads: 4,
  processes: 4,
  mounts: 2,
  sandboxes: 0.5,
  sandbox_folders: 0.5,
  files: 2,
  rows: 2,
};

let server: TestServer;
showLogOnFailure(() => server);
beforeAll(async () => {
  const env = {
    SANDBOX_POOL: `1g=${POOL}`,
    SWEEP_INTERVAL_MS: '2000',
    RETENTION_INTERVAL_MS: '2000',
    BLOB_GRACE_MINUTES: '1',
  };
  server = await startServer({ name: 'soak', env });
}, 300_000);
afterAll(() => server?.stop(), 300_000);

interface Tenant {
  readonly api: Api;
  /** Deletes the project; resolves when the server has nothing of it any more. */
  readonly leave: () => Promise<void>;
}

async function newTenant(name: string): Promise<Tenant> {
  const admin = new Api(`${server.origin}/admin/v1`, server.adminKey);
  const { id } = await admin.ok<{ id: string }>('POST', '/projects', { name });
  const { secret } = await admin.ok<{ secret: string }>('POST', `/projects/${id}/api_keys`, { name });
  const leave = async (): Promise<void> => {
    const { status, text } = await admin.delete(`/projects/${id}?force=true`);
    // 202: some of it is still there.
    if (status !== 200 && status !== 202) throw new Error(`the project stays: ${status} ${text}`);
    const rested = await eventually(
      () => readVitals(server),
      ({ rows, sandboxes }) => rows <= rowsBefore && sandboxes <= POOL,
      GONE_TIMEOUT_MS,
    );
    rowsBefore = Math.max(rowsBefore, rested.rows);
  };
  return { api: new Api(server.url, secret), leave };
}

/** Of an installation in which nobody is left; what is above it is still being deleted. */
let rowsBefore = 0;

async function shift(number: number): Promise<{ vitals: Vitals; ledger: Ledger }> {
  const [tenant, ledger, chance] = [
    await newTenant(`shift ${number}`),
    new Ledger(),
    chanceOf(SEED * 10_007 + number),
  ];
  const client = new OpenAI({
    baseURL: server.url,
    apiKey: tenant.api.key,
    maxRetries: 0,
    timeout: REQUEST_TIMEOUT_MS,
  });
  const used = nothingUsed();
  const hands = Array.from({ length: HANDS }, () => ({
    client,
    ledger,
    used,
    chance: chanceOf(chance.whole(0, 2 ** 31)),
  }));
  const over = new AbortController();
  const work = workUntil(over.signal, hands);
  await sleep(SHIFT_MS);
  over.abort();
  await work;
  const checked = { server, api: tenant.api, ledger, pool: POOL };
  await checkPromises(checked);
  await checkLeftovers(checked);
  await tenant.leave();
  return { vitals: await readVitals(server), ledger };
}

function tell(number: number, { vitals, ledger }: { vitals: Vitals; ledger: Ledger }): void {
  const done = [...ledger.ends].map(([end, times]) => `${end}: ${times}`).join(', ');
  const read = Object.entries(vitals).map(([name, value]) =>
    name.endsWith('_bytes')
      ? `${name.replace('_bytes', '')} ${Math.round(value / MIB)} MiB`
      : `${name} ${value}`,
  );
  process.stdout.write(`shift ${number} (${done}): ${read.join(', ')}\n`);
}

describe(`${MINUTES} minutes of work`, () => {
  const all: Vitals[] = [];
  const shifts = Math.max(LEAST_SHIFTS, Math.floor((MINUTES * 60_000) / SHIFT_MS));

  it(
    'leave nothing undone, and every promise kept',
    async () => {
      rowsBefore = (await readVitals(server)).rows;
      const end = Date.now() + MINUTES * 60_000;
      for (let number = 1; number <= LEAST_SHIFTS || Date.now() < end; number += 1) {
        const done = await shift(number);
        tell(number, done);
        all.push(done.vitals);
        const again = `shift ${number}; again: npm run test:soak -- ${MINUTES} --seed ${SEED}`;
        expect(done.ledger.oddities, again).toEqual([]);
      }
    },
    // Checks and deletions come on top of the work.
    shifts * SHIFT_MS * 3 + 600_000,
  );

  it.each(Object.entries(TOLERANCE) as [Vital, number][])('do not let %s grow', (vital, tolerance) => {
    const readings = all.map((vitals) => vitals[vital]);
    expect(readings.length).toBeGreaterThanOrEqual(LEAST_SHIFTS);
    const told = `${vital}, median ${median(readings)}: ${readings.join(' ')}`;
    expect(growth(readings), told).toBeLessThanOrEqual(tolerance);
  });
});
