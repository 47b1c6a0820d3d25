/**
 * `npm run bench -- --performance`: starts by tens, crowds, sleep, and what else there is, on this machine; writes
 * bench/results/performance.json and, from it and from latest.json, docs/performance.md with its pictures.
 * `--page` only draws again. `--asleep N` measures N containers that sleep at the same time, and leaves the rest as it
 * was.
 */
import { AS_INSTALLED } from '../test/support/server.js';
import { endOnSignals, isStopping, withServer } from './lifetime.js';
import { load, machine } from './machine.js';
import type { Row } from './measure.js';
import { type LatestReport, type PerformanceReport, type Step, writePage } from './page.js';
import { untilQuiet } from './quiet.js';
import { heading, line, readReport, write } from './report.js';
import { asleep, awake } from './steps-crowd.js';
import {
  dockerRun,
  kernelGateway,
  llmSandbox,
  loopRows,
  loops,
  type Peer,
  peerRows,
  thisServer,
} from './steps-peers.js';
import { napRows, naps } from './steps-sleep.js';
import { type Mode, rowsOf, starts } from './steps-starts.js';

const quick = process.argv.includes('--quick');
const asleepAt = process.argv.indexOf('--asleep');
const ASLEEP = asleepAt < 0 ? 0 : Number(process.argv[asleepAt + 1]);
if (Number.isNaN(ASLEEP)) throw new Error('--asleep takes a number of containers, such as --asleep 100');

const STARTS: readonly (readonly [Mode, number])[] = quick
  ? [['burst', 2]]
  : [
      ['sequential', 1],
      ['sequential', 10],
      ['sequential', 20],
      ['staggered', 10],
      ['staggered', 20],
      ['staggered', 50],
      ['staggered', 100],
      ['burst', 10],
      ['burst', 20],
      ['burst', 50],
      ['burst', 100],
    ];
const SIZES = quick
  ? { awake: 2, woken: 1, frames: [0, 5], naps: 1, peers: 1, further: 3, loops: 1 }
  : { awake: 64, woken: 100, frames: [0, 10, 50, 100, 200, 375], naps: 5, peers: 3, further: 20, loops: 5 };
/** More than any step makes; what the pool allows is no part of these times. */
const ENV = {
  ...AS_INSTALLED,
  SANDBOX_POOL: '1g=0',
  SANDBOX_QUEUE_MS: '600000',
  MEMORY_POOL_BYTES: '256g',
  RATE_REQUESTS_PER_MINUTE: '0',
  RATE_CONCURRENT_RUNS: '0',
  LOG_LEVEL: 'warn',
};

const steps: Step[] = [];
const failed: string[] = [];

async function step(
  name: string,
  work: () => Promise<{ rows: readonly Row[]; detail?: unknown }>,
): Promise<void> {
  if (isStopping()) return;
  const quiet = await untilQuiet();
  const began = Date.now();
  try {
    const { rows, detail } = await work();
    for (const row of rows) console.log(line(row));
    steps.push({
      name,
      ...quiet,
      seconds: Math.round((Date.now() - began) / 1_000),
      load: load(),
      rows,
      detail,
    });
  } catch (error) {
    failed.push(name);
    process.exitCode = 1;
    console.error(`${name}: ${(error as Error).message}`);
  }
}

async function measure(): Promise<void> {
  console.log(heading);
  const peer = (work: () => Promise<Peer>) => async () => {
    const found = await work();
    return { rows: peerRows(found), detail: found };
  };
  await withServer(ENV, async (asking) => {
    // The first one makes the template; that is counted nowhere.
    await starts(asking, 'sequential', 1);
    for (const [mode, count] of STARTS) {
      await step(`starts ${mode} ${count}`, async () => {
        const found = await starts(asking, mode, count);
        return { rows: rowsOf(found), detail: found };
      });
    }
    await step('awake', async () => ({ rows: await awake(asking, SIZES.awake) }));
    await step(
      'peer: this server',
      peer(() => thisServer(asking, SIZES.peers, SIZES.further)),
    );
  });
  await step(
    'peer: docker run',
    peer(() => dockerRun(SIZES.peers)),
  );
  await step(
    'peer: kernel gateway',
    peer(() => kernelGateway(SIZES.peers, SIZES.further)),
  );
  await step(
    'peer: llm-sandbox',
    peer(() => llmSandbox(SIZES.peers, SIZES.further)),
  );
  await step('sleep', async () => {
    const found = await naps(SIZES.frames, SIZES.naps);
    return { rows: found.flatMap(napRows), detail: found };
  });
  await step('loops', async () => {
    const found = await loops(SIZES.loops);
    return { rows: found.flatMap(loopRows), detail: found };
  });
}

function measureAsleep(): Promise<void> {
  console.log(heading);
  const env = { ...ENV, HIBERNATE_AFTER_SECONDS: '1', CONTAINER_MAX_IDLE_MINUTES: '60' };
  return withServer(env, (asking) =>
    step('asleep', async () => ({ rows: await asleep(asking, ASLEEP, Math.min(SIZES.woken, ASLEEP)) })),
  );
}

if (!process.argv.includes('--page')) {
  const before = load();
  endOnSignals();
  await (ASLEEP > 0 ? measureAsleep() : measure());
  const others = ASLEEP > 0 ? (readReport('performance.json') as PerformanceReport) : undefined;
  const report: PerformanceReport = others
    ? { ...others, steps: [...others.steps.filter(({ name }) => name !== 'asleep'), ...steps] }
    : { at: new Date().toISOString(), load_average: { before, after: load() }, machine: machine(), steps };
  if (failed.length > 0) console.error(`nothing is written, as these failed: ${failed.join(', ')}`);
  else if (!quick && !isStopping()) write('performance.json', report);
}
if (!quick && failed.length === 0 && !isStopping())
  await writePage(
    readReport('performance.json') as PerformanceReport,
    readReport('latest.json') as LatestReport,
  );
