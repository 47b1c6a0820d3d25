/** As many containers as the pool of one project holds, all alive; and many more that sleep. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Semaphore } from '../orchestrator/src/common/mutex.js';
import { chanceOf } from '../test/faults/random.js';
import type { Client } from './client.js';
import { type Row, summarise, timed } from './measure.js';

const LANES = 16;
const POLL_MS = 500;
const PANDAS = `import pandas as pd
frame = pd.DataFrame({'a': range(1000)})
kept = 'of container %d'
print(frame.a.sum())`;

/** Does it for each, so many at a time. */
async function forEach<T>(all: readonly T[], work: (one: T, index: number) => Promise<void>): Promise<void> {
  const gate = new Semaphore(LANES);
  await Promise.all(all.map((one, index) => gate.run(() => work(one, index))));
}

async function make(client: Client, count: number, code: string): Promise<string[]> {
  const ids: string[] = [];
  await forEach(Array.from({ length: count }), async (_none, index) => {
    const id = await client.newContainer();
    ids[index] = id;
    await client.run(id, code.replace('%d', String(index)));
  });
  return ids;
}

/** Milliseconds of each; rejects where a variable is not there. */
async function ask(client: Client, ids: readonly string[], which: readonly number[]): Promise<number[]> {
  const each: number[] = [];
  await forEach(which, async (index) => {
    const code = `assert kept == 'of container ${index}', kept`;
    each.push(await timed(() => client.run(ids[index]!, code)));
  });
  return each;
}

const remove = (client: Client, ids: readonly string[]) => forEach(ids, (id) => client.deleteContainer(id));

/** Containers that are all awake at once, each of which uses pandas; then all are asked for a variable. */
export async function awake(client: Client, count: number): Promise<Row[]> {
  let ids: string[] = [];
  const made = await timed(async () => (ids = await make(client, count, PANDAS)));
  let each: number[] = [];
  const asked = await timed(async () => (each = await ask(client, ids, [...ids.keys()])));
  await remove(client, ids);
  return [
    summarise(`${count} containers made, each runs pandas, ${LANES} at a time: all`, [made]),
    summarise('  then all asked for a variable: all', [asked]),
    summarise('  each', each),
  ];
}

interface Containers {
  readonly data: readonly { readonly sandbox: string }[];
  readonly has_more: boolean;
  readonly last_id: string | null;
}

async function countAsleep(client: Client): Promise<number> {
  let [count, after] = [0, ''];
  for (;;) {
    const page = await client.ask<Containers>('GET', `/admin/v1/containers?limit=100${after}`);
    count += page.data.filter(({ sandbox }) => sandbox === 'asleep').length;
    if (!page.has_more) return count;
    after = `&after=${page.last_id}`;
  }
}

/** Resolves when so many containers sleep. */
export async function untilAsleep(client: Client, count: number, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const asleep = await countAsleep(client);
    if (asleep >= count) return;
    if (Date.now() > deadline) throw new Error(`${asleep} of ${count} containers sleep`);
    await sleep(POLL_MS);
  }
}

/** Many containers with a variable each, all asleep; a part of them, chosen by chance, is woken. */
export async function asleep(client: Client, count: number, woken: number): Promise<Row[]> {
  let ids: string[] = [];
  const made = await timed(async () => (ids = await make(client, count, "kept = 'of container %d'")));
  const slept = await timed(() => untilAsleep(client, count, count * 2_000));
  const chosen = chanceOf(count)
    .shuffled([...ids.keys()])
    .slice(0, woken);
  let each: number[] = [];
  const all = await timed(async () => (each = await ask(client, ids, chosen)));
  await remove(client, ids);
  return [
    summarise(`${count} containers made, one execution each: all`, [made]),
    summarise('  until the last of them slept', [slept]),
    summarise(`  ${woken} of them woken, ${LANES} at a time: all`, [all]),
    summarise('  each, to its result', each),
  ];
}
