/** What containers that compute without pause cost another container, and the server. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from './client.js';
import { type Row, rounds, summarise, timed } from './measure.js';
import type { TestServer } from '../test/support/server.js';

/** Each loops until the container is deleted, with all the CPUs it can get. */
const BUSY = [
  `import threading
def burn():
    while True: pass
try:
    for _ in range(200): threading.Thread(target=burn, daemon=True).start()
except RuntimeError: pass
burn()`,
  `import numpy
a = numpy.random.rand(1500, 1500)
while True: a @ a`,
  `import os
for _ in range(15):
    if os.fork() == 0:
        while True: pass
while True: pass`,
  'while True: sum(range(100000))',
];
/** Between two executions, and two looks at the server; in milliseconds. */
const PAUSE_MS = 50;
const LOOK_MS = 20;
/** Until the busy ones are all at it, in milliseconds. */
const SETTLE_MS = 4_000;
/** What is asked of the p95 of `1+1`, in multiples of the quiet one, and of /health/live. */
const MOST_TIMES = 5;
const MOST_LIVE_MS = 50;

export interface FairnessCounts {
  readonly rounds: number;
  readonly busy: readonly number[];
}

export interface Fairness {
  readonly busy: number;
  readonly p50_times: number;
  readonly p95_times: number;
  readonly live_p99_ms: number;
}

const times = (value: number, quiet: number): number => Math.round((value / quiet) * 10) / 10;

async function measured(client: Client, looker: Client, id: string, count: number): Promise<[Row, Row]> {
  const looks: number[] = [];
  let over = false;
  const looking = (async () => {
    while (!over) {
      looks.push(await timed(() => looker.ask('GET', '/health/live')));
      await sleep(LOOK_MS);
    }
  })();
  const runs = await rounds(
    count,
    () => client.run(id, '1+1'),
    () => sleep(PAUSE_MS),
  );
  over = true;
  await looking;
  return [summarise('1+1', runs), summarise('GET /health/live', looks)];
}

/** Containers with busy code in them; the returned function ends them. */
async function busyContainers(client: Client, count: number): Promise<() => Promise<void>> {
  const ids: string[] = [];
  for (let index = 0; index < count; index += 1) ids.push(await client.newContainer());
  const all = ids.map((id, index) =>
    client.run(id, BUSY[index % BUSY.length]!).then(
      () => undefined,
      () => undefined,
    ),
  );
  await sleep(SETTLE_MS);
  return async () => {
    for (const id of ids) await client.deleteContainer(id);
    await Promise.all(all);
  };
}

/** For each number of busy containers: quiet, beside them, quiet again. The ratios are to both quiet ones. */
export async function fairness(
  server: TestServer,
  counts: FairnessCounts,
  told: (rows: readonly Row[]) => void,
): Promise<Fairness[]> {
  const [client, looker] = [new Client(server), new Client(server)];
  const found: Fairness[] = [];
  try {
    await client.poolIsFull();
    const id = await client.newContainer();
    await client.run(id, '1+1');
    await client.poolIsFull();
    for (const busy of counts.busy) {
      const [before, live] = await measured(client, looker, id, counts.rounds);
      const end = await busyContainers(client, busy);
      const [run, look] = await measured(client, looker, id, counts.rounds);
      await end();
      await client.poolIsFull();
      const [after] = await measured(client, looker, id, counts.rounds);
      told([
        { ...before, name: '1+1 in a live container, nobody else' },
        { ...live, name: '  GET /health/live' },
        { ...run, name: `1+1 beside ${busy} busy` },
        { ...look, name: '  GET /health/live' },
        { ...after, name: '1+1 in a live container, nobody else again' },
      ]);
      found.push({
        busy,
        p50_times: times(run.median, (before.median + after.median) / 2),
        p95_times: times(run.p95, (before.p95 + after.p95) / 2),
        live_p99_ms: look.p99,
      });
    }
    await client.deleteContainer(id);
    return found;
  } finally {
    client.close();
    looker.close();
  }
}

/** For people. */
export function sentence({ busy, p50_times: p50, p95_times: p95, live_p99_ms: live }: Fairness): string {
  const verdict = (met: boolean) => (met ? 'met' : 'MISSED');
  return (
    `beside ${busy} busy: 1+1 takes ${p50} times as long (p50), ${p95} times (p95, aim ≤ ${MOST_TIMES}: ` +
    `${verdict(p95 <= MOST_TIMES)}); /health/live p99 ${live.toFixed(0)} ms (aim ≤ ${MOST_LIVE_MS}: ` +
    `${verdict(live <= MOST_LIVE_MS)})`
  );
}
