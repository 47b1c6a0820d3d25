/** How long somebody waits who wants a container: one after the other, staggered, or all in the same moment. */
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from './client.js';
import { type Row, summarise, timed } from './measure.js';

export type Mode = 'sequential' | 'staggered' | 'burst';

/** Milliseconds between two beginnings of the staggered mode. */
const STAGGER_MS = 200;

export interface Starts {
  readonly mode: Mode;
  readonly count: number;
  /** Milliseconds from the request for a container to the result of `1+1`, of each. */
  readonly each: readonly number[];
  /** Milliseconds from the first request to the last result. */
  readonly all: number;
}

/** With an empty pool; everything that was made is deleted again. */
export async function starts(client: Client, mode: Mode, count: number): Promise<Starts> {
  const [ids, each]: [string[], number[]] = [[], []];
  const one = async (): Promise<void> => {
    const began = performance.now();
    const id = await client.newContainer();
    ids.push(id);
    await client.run(id, '1+1');
    each.push(performance.now() - began);
  };
  const all = await timed(async () => {
    if (mode === 'sequential') for (let index = 0; index < count; index += 1) await one();
    else {
      const delay = mode === 'staggered' ? STAGGER_MS : 0;
      const late = Array.from({ length: count }, (_, index) => sleep(index * delay).then(one));
      await Promise.all(late);
    }
  });
  for (const id of ids) await client.deleteContainer(id);
  return { mode, count, each, all };
}

export const rowsOf = ({ mode, count, each, all }: Starts): Row[] => [
  summarise(`${count} ${count === 1 ? 'container' : 'containers'}, ${mode}: each, to its first result`, each),
  summarise('  all', [all]),
];
