/** Another tenant, who asks small things all the time and notes how long each answer took. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Api } from './api.js';

const PAUSE_MS = 5;

export interface Waits {
  readonly count: number;
  readonly longestMs: number;
  readonly failed: number;
}

/** Asks from now until `work` is over. */
export async function besides<T>(api: Api, work: () => Promise<T>): Promise<{ result: T; waits: Waits }> {
  let over = false;
  const waits = { count: 0, longestMs: 0, failed: 0 };
  const asking = (async () => {
    while (!over) {
      const start = performance.now();
      const reply = await api.get('/models').catch(() => undefined);
      waits.longestMs = Math.max(waits.longestMs, performance.now() - start);
      waits.count += 1;
      if (reply?.status !== 200) waits.failed += 1;
      await sleep(PAUSE_MS);
    }
  })();
  try {
    return { result: await work(), waits };
  } finally {
    over = true;
    await asking;
  }
}

/** One number of `GET /metrics`. */
export async function metric(origin: string, adminKey: string, line: string): Promise<number> {
  const reply = await fetch(`${origin}/metrics`, { headers: { authorization: `Bearer ${adminKey}` } });
  const found = (await reply.text()).split('\n').find((each) => each.startsWith(`code_interpreter_${line} `));
  return Number(found?.split(' ').at(-1));
}
