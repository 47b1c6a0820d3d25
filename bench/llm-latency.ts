/**
 * What this server adds to each token of a model: the scripted endpoint is asked directly and through
 * the server, in turns, and knows when it wrote each token; the delay of a token is the time until the
 * client has it. All in one process, so that there is one clock.
 */
import { performance } from 'node:perf_hooks';
import OpenAI from 'openai';
import { ModelEndpoint } from '../test/fakes/model-endpoint/server.js';
import type { ServerAddress } from '../test/support/server.js';
import { type Row, summarise } from './measure.js';

/** The server of the benchmark offers it. */
export const MODEL = 'paced';
/** Milliseconds between two tokens: a quick model. */
const PACE_MS = 5;
const AIM_MS = 2;

type Paths = Record<'direct' | 'ours', () => AsyncGenerator<string>>;

function paths(direct: OpenAI, ours: OpenAI): Paths {
  return {
    direct: async function* () {
      const messages = [{ role: 'user' as const, content: 'go' }];
      for await (const chunk of await direct.chat.completions.create({
        model: MODEL,
        messages,
        stream: true,
      })) {
        const content = chunk.choices[0]?.delta.content;
        if (content) yield content;
      }
    },
    ours: async function* () {
      for await (const event of await ours.responses.create({ model: MODEL, input: 'go', stream: true })) {
        if (event.type === 'response.output_text.delta') yield event.delta;
      }
    },
  };
}

/** Milliseconds from the endpoint's write to the client, for each token of one answer. */
async function delays(
  fake: ModelEndpoint,
  read: () => AsyncGenerator<string>,
  tokens: number,
): Promise<number[]> {
  fake.reset();
  fake.script(MODEL, { text: 'x'.repeat(tokens), chunk: 1, delay_ms: PACE_MS });
  const arrived: number[] = [];
  for await (const _ of read()) arrived.push(performance.now());
  // The first chunk of a stream names the role only.
  const written = fake.requests[0]!.written_at.slice(1, 1 + tokens);
  if (arrived.length !== tokens) throw new Error(`${arrived.length} of ${tokens} tokens arrived`);
  return arrived.map((time, index) => time - written[index]!);
}

/** The delay of a token, directly and through the server, in turns, and the difference. */
export async function tokenLatency(
  fake: ModelEndpoint,
  server: ServerAddress,
  rounds: number,
  tokens: number,
): Promise<Row[]> {
  const read = paths(
    new OpenAI({ baseURL: fake.url, apiKey: 'none' }),
    new OpenAI({ baseURL: server.url, apiKey: server.apiKey }),
  );
  const found = { direct: [] as number[], ours: [] as number[] };
  for (let round = -1; round < rounds; round += 1) {
    for (const path of ['direct', 'ours'] as const) {
      const times = await delays(fake, read[path], tokens);
      // The first round warms both up.
      if (round >= 0) found[path].push(...times);
    }
  }
  const direct = summarise('token, endpoint asked directly', found.direct);
  const ours = summarise('token, through the server', found.ours);
  const added = {
    median: ours.median - direct.median,
    p95: ours.p95 - direct.p95,
    p99: ours.p99 - direct.p99,
    min: ours.min - direct.min,
  };
  return [direct, ours, { ...ours, ...added, name: 'token, added by the server', aim: AIM_MS }];
}
