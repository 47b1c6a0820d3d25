/** Another tenant, who asks small things all the time and notes how long each answer took. */
import { Worker } from 'node:worker_threads';
import type { Api } from './api.js';

export interface Waits {
  readonly count: number;
  readonly longestMs: number;
  readonly failed: number;
}

/** In a thread of its own, because the test itself may be busy making up what it sends. */
const PROGRAM = `
  const { parentPort, workerData: { url, key } } = require('node:worker_threads');
  const pause = () => new Promise((done) => setTimeout(done, 5));
  const waits = { count: 0, longestMs: 0, failed: 0 };
  let over = false;
  parentPort.once('message', () => (over = true));
  (async () => {
    while (!over) {
      const start = performance.now();
      const reply = await fetch(url, { headers: { authorization: 'Bearer ' + key } }).catch(() => undefined);
      await reply?.text();
      const ms = performance.now() - start;
      // The first one pays for the client's own start.
      if (waits.count > 0) waits.longestMs = Math.max(waits.longestMs, ms);
      waits.count += 1;
      if (reply?.status !== 200) waits.failed += 1;
      if (waits.count === 2) parentPort.postMessage('asking');
      await pause();
    }
    parentPort.postMessage(waits);
  })();
`;

/** Asks from now until `work` is over. */
export async function besides<T>(api: Api, work: () => Promise<T>): Promise<{ result: T; waits: Waits }> {
  const worker = new Worker(PROGRAM, {
    eval: true,
    execArgv: [],
    workerData: { url: `${api.url}/models`, key: api.key },
  });
  const next = <V>() =>
    new Promise<V>((resolve, reject) => {
      worker.once('message', resolve).once('error', reject);
    });
  try {
    await next();
    const result = await work();
    const waits = next<Waits>();
    worker.postMessage('over');
    return { result, waits: await waits };
  } finally {
    await worker.terminate();
  }
}

/** One number of `GET /metrics`. */
export async function metric(origin: string, adminKey: string, line: string): Promise<number> {
  const reply = await fetch(`${origin}/metrics`, { headers: { authorization: `Bearer ${adminKey}` } });
  const found = (await reply.text()).split('\n').find((each) => each.startsWith(`code_interpreter_${line} `));
  return Number(found?.split(' ').at(-1));
}
