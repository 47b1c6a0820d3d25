/** Many plain streams at once, read without a client library: how long each waits for its first byte. */
import { request } from 'node:http';
import { performance } from 'node:perf_hooks';
import { ModelEndpoint } from '../test/fakes/model-endpoint/server.js';
import { startServer } from '../test/support/server.js';
import { type Row, summarise } from './measure.js';

export interface StreamSizes {
  readonly streams: number;
  /** Times that many begin together. */
  readonly rounds: number;
}

const WORDS = 20;
/** Milliseconds between two words. */
const PACE_MS = 100;
/** Milliseconds, the 99th percentile. */
const AIM_MS = 500;
const MODEL = 'many';

interface Read {
  /** Milliseconds from the request to its first byte, and to its last. */
  readonly first: number;
  readonly last: number;
  readonly text: string;
}

function read(url: string, key: string): Promise<Read> {
  const body = JSON.stringify({ model: MODEL, input: 'go', stream: true });
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  const begin = performance.now();
  return new Promise((resolve, reject) => {
    const asked = request(`${url}/responses`, { method: 'POST', headers, agent: false }, (reply) => {
      let first = Number.NaN;
      let text = '';
      reply.setEncoding('utf8');
      reply.on('data', (chunk: string) => {
        if (text === '') first = performance.now() - begin;
        text += chunk;
      });
      reply
        .once('end', () => resolve({ first, last: performance.now() - begin, text }))
        .once('error', reject);
    });
    asked.once('error', reject);
    asked.end(body);
  });
}

/** Streams of some two seconds each, all asked for in the same moment. */
export async function manyStreams({ streams, rounds }: StreamSizes): Promise<Row[]> {
  const fake = await new ModelEndpoint().start();
  const provider = { name: 'fake', base_url: fake.url, models: [MODEL] };
  const env = {
    SANDBOX_POOL: '',
    LOG_LEVEL: 'warn',
    RATE_REQUESTS_PER_MINUTE: '0',
    RATE_CONCURRENT_RUNS: '0',
    MODEL_PROVIDERS: JSON.stringify([provider]),
  };
  const server = await startServer({ name: 'bench-streams', fakeSandboxes: true, env });
  const turn = { text: 'word '.repeat(WORDS), chunk: 'word '.length, delay_ms: PACE_MS };
  const reads: Read[] = [];
  try {
    // The first ones pay for connections and for code that was never run.
    for (let round = -1; round < rounds; round += 1) {
      const count = round < 0 ? Math.ceil(streams / 10) : streams;
      fake.script(MODEL, ...Array.from({ length: count }, () => turn));
      const all = await Promise.all(Array.from({ length: count }, () => read(server.url, server.apiKey)));
      if (all.some(({ text }) => !text.includes('event: response.completed')))
        throw new Error('a stream did not come to its end');
      if (round >= 0) reads.push(...all);
    }
  } finally {
    await server.stop();
    await fake.stop();
  }
  const times = (pick: (read: Read) => number) => reads.map(pick);
  const firsts = summarise(
    `${streams} streams at once: first byte of each`,
    times((each) => each.first),
  );
  return [
    { ...firsts, note: `p99 ${Math.round(firsts.p99)} ms, aim ≤ ${AIM_MS} ms` },
    summarise(
      '  the whole of each',
      times((each) => each.last),
    ),
  ];
}
