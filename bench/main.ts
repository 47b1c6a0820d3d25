/** `npm run bench`: measures, prints a table, writes bench/results/latest.json. */
import { AS_INSTALLED } from '../test/support/server.js';
import { endOnSignals, isStopping, withServer } from './lifetime.js';
import { load, machine } from './machine.js';
import type { Row } from './measure.js';
import { heading, line, write } from './report.js';
import { sandboxes, yardstick } from './steps-sandbox.js';
import { responses } from './steps-responses.js';
import { manyStreams } from './steps-streams.js';
import { furtherExecution, parallel, transfers, warmCreate } from './steps-server.js';

/** No step begins after this. */
const BUDGET_MS = 300_000;
const POOL = 2;

const quick = process.argv.includes('--quick');
const SIZES = quick
  ? { warm: 1, trivial: 10, transferMiB: 16, transfers: 1, parallel: 2 }
  : { warm: 12, trivial: 100, transferMiB: 256, transfers: 3, parallel: 20 };
const COUNTS = quick
  ? { coldStarts: 1, pings: 20, yardsticks: 1 }
  : { coldStarts: 5, pings: 500, yardsticks: 5 };

const RESPONSES = quick
  ? { firstEvents: 3, tokenRounds: 1, tokens: 20, runs: 2, events: 100 }
  : { firstEvents: 50, tokenRounds: 5, tokens: 200, runs: 50, events: 10_000 };

const STREAMS = quick ? { streams: 10, rounds: 1 } : { streams: 200, rounds: 3 };

const begin = Date.now();
const loadBefore = load();
const rows: Row[] = [];
const skipped: string[] = [];
const failed: string[] = [];

async function step(name: string, work: () => Promise<readonly Row[]>): Promise<void> {
  if (isStopping()) return;
  if (Date.now() - begin > BUDGET_MS) {
    skipped.push(name);
    console.log(`${name}: left out, the time is up`);
    return;
  }
  try {
    for (const row of await work()) {
      rows.push(row);
      console.log(line(row));
    }
  } catch (error) {
    failed.push(name);
    process.exitCode = 1;
    console.error(`${name}: ${(error as Error).message}`);
  }
}

function ratio(): number | null {
  const median = (start: string) => rows.find((row) => row.name.startsWith(start))?.median;
  const slow = median('yardstick');
  const fast = median('warm: create');
  return slow === undefined || fast === undefined ? null : Math.round((slow / fast) * 10) / 10;
}

endOnSignals();
console.log(heading);
await withServer({ ...AS_INSTALLED, SANDBOX_POOL: `1g=${POOL}` }, async (asking, running) => {
  await step('warm create', () => warmCreate(asking, SIZES));
  await step('further execution', () => furtherExecution(asking, running, SIZES));
  await step('sandboxes', () => sandboxes(COUNTS));
  await step('yardstick', async () => [await yardstick(COUNTS)]);
  await step('transfers', () => transfers(asking, running, SIZES));
  await step('parallel', () => parallel(asking, SIZES));
});
await step('responses', () => responses(RESPONSES));
await step('streams', () => manyStreams(STREAMS));
const times = ratio();
const report = {
  at: new Date().toISOString(),
  seconds: Math.round((Date.now() - begin) / 1000),
  load_average: { before: loadBefore, after: load() },
  machine: machine(),
  yardstick_to_warm_ratio: times,
  skipped,
  rows,
};
if (times !== null)
  console.log(`warm create → first output is ${times} times as fast as the yardstick (aim ≥ 15)`);
console.log(
  `load average ${loadBefore.join(' ')} before, ${report.load_average.after.join(' ')} after; ${report.seconds} s`,
);
if (!quick && !isStopping() && failed.length === 0) write('latest.json', report);
