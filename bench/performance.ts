/**
 * `npm run bench -- --performance`: starts by tens, crowds, sleep, and what else there is, on this machine; writes
 * bench/results/performance.json and, from it and from latest.json, docs/performance.md with its pictures.
 * `--page` only draws again. `--asleep N` measures N containers that sleep at the same time, and leaves the rest as it
 * was.
 */
import { AS_INSTALLED, startServer, type TestServer } from '../test/support/server.js';
import { Client } from './client.js';
import { load, machine } from './machine.js';
import type { Row } from './measure.js';
import { type LatestReport, type PerformanceReport, type Step, writePage } from './page.js';
import { untilQuiet } from './quiet.js';
import { heading, line, readReport, write } from './report.js';
import { asleep, awake } from './steps-crowd.js';
import { dockerRun, kernelGateway, llmSandbox, loopRows, loops, type Peer, peerRows } from './steps-peers.js';
import { napRows, naps } from './steps-sleep.js';
import { type Mode, rowsOf, starts } from './steps-starts.js';

const quick = process.argv.includes('--quick');
const asleepAt = process.argv.indexOf('--asleep');
const ASLEEP = asleepAt < 0 ? 0 : Number(process.argv[asleepAt + 1]);

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
const ROOM = { MEMORY_POOL_BYTES: '256g', RATE_REQUESTS_PER_MINUTE: '0', RATE_CONCURRENT_RUNS: '0' };
const QUEUE = { SANDBOX_QUEUE_MS: '600000', LOG_LEVEL: 'warn' };

const steps: Step[] = [];
const failed: string[] = [];
let server: TestServer | undefined;
let client: Client | undefined;
let stopping = false;

async function step(
  name: string,
  work: () => Promise<{ rows: readonly Row[]; detail?: unknown }>,
): Promise<void> {
  if (stopping) return;
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

async function cleanUp(): Promise<void> {
  client?.close();
  const known = server;
  server = undefined;
  await known?.stop();
}

async function withServer(
  env: Readonly<Record<string, string>>,
  work: (client: Client) => Promise<void>,
): Promise<void> {
  if (stopping) return;
  server = await startServer({
    name: 'bench',
    env: { ...AS_INSTALLED, SANDBOX_POOL: '1g=0', ...ROOM, ...QUEUE, ...env },
  });
  client = new Client(server);
  try {
    await work(client);
  } finally {
    await cleanUp();
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    stopping = true;
    void cleanUp().finally(() => process.exit(1));
  });
}

/** This server as its peers are measured: nothing is there before; the pool is empty. */
async function ours(asking: Client, count: number, further: number): Promise<Peer> {
  const peer = { name: 'this server, with an empty pool', first: [] as number[], further: [] as number[] };
  const code = 'import numpy, pandas, matplotlib.pyplot; print(1+1)';
  for (let index = 0; index < count; index += 1) {
    const began = performance.now();
    const id = await asking.newContainer();
    await asking.run(id, code);
    peer.first.push(performance.now() - began);
    for (let time = 0; time < further; time += 1) {
      const again = performance.now();
      await asking.run(id, 'print(1+1)');
      peer.further.push(performance.now() - again);
    }
    await asking.deleteContainer(id);
  }
  return peer;
}

async function measure(): Promise<void> {
  console.log(heading);
  const peers: Peer[] = [];
  const peer = (work: () => Promise<Peer>) => async () => {
    const found = await work();
    peers.push(found);
    return { rows: peerRows(found), detail: found };
  };
  await withServer({}, async (asking) => {
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
      peer(() => ours(asking, SIZES.peers, SIZES.further)),
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
  const env = { HIBERNATE_AFTER_SECONDS: '1', CONTAINER_MAX_IDLE_MINUTES: '60' };
  return withServer(env, (asking) =>
    step('asleep', async () => ({ rows: await asleep(asking, ASLEEP, Math.min(SIZES.woken, ASLEEP)) })),
  );
}

if (!process.argv.includes('--page')) {
  const before = load();
  try {
    await (ASLEEP > 0 ? measureAsleep() : measure());
  } finally {
    await cleanUp();
  }
  const others = ASLEEP > 0 ? (readReport('performance.json') as PerformanceReport) : undefined;
  const report: PerformanceReport = others
    ? { ...others, steps: [...others.steps.filter(({ name }) => name !== 'asleep'), ...steps] }
    : {
        at: new Date().toISOString(),
        load_average: { before, after: load() },
        machine: machine(),
        failed,
        steps,
      };
  if (!quick && !stopping) write('performance.json', report);
}
if (!quick && !stopping)
  await writePage(
    readReport('performance.json') as PerformanceReport,
    readReport('latest.json') as LatestReport,
  );
