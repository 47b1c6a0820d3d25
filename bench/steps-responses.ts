/** What a response costs beside the model: with a scripted endpoint behind a server of its own, in this process. */
import { performance } from 'node:perf_hooks';
import OpenAI from 'openai';
import { ModelEndpoint } from '../test/fakes/model-endpoint/server.js';
import { AS_INSTALLED, startServer, type TestServer } from '../test/support/server.js';
import { MODEL, tokenLatency } from './llm-latency.js';
import { type Row, summarise, timed } from './measure.js';

export interface ResponseSizes {
  readonly firstEvents: number;
  readonly tokenRounds: number;
  readonly tokens: number;
  readonly runs: number;
  readonly events: number;
}

interface Parts {
  readonly fake: ModelEndpoint;
  readonly server: TestServer;
  readonly client: OpenAI;
}

/** Each run asks for two executions, one after the other; the fake model needs no script for it. */
const TOOLS: OpenAI.Responses.Tool[] = [{ type: 'code_interpreter', container: { type: 'auto' } }];
const call = (code: string) => ({ name: 'python', arguments: { code } });

/** From the request to the first event, and to the first word of the model, which answers at once. */
async function firstEvent({ fake, client }: Parts, count: number): Promise<Row[]> {
  const firsts: number[] = [];
  const words: number[] = [];
  const direct: number[] = [];
  const straight = new OpenAI({ baseURL: fake.url, apiKey: 'none' });
  for (let index = -1; index < count; index += 1) {
    fake.reset();
    fake.script(MODEL, { text: 'x' }, { text: 'x' });
    const begin = performance.now();
    let first = Number.NaN;
    let word = Number.NaN;
    for await (const event of await client.responses.create({ model: MODEL, input: 'go', stream: true })) {
      if (Number.isNaN(first)) first = performance.now() - begin;
      if (event.type === 'response.output_text.delta') word = performance.now() - begin;
    }
    const messages = [{ role: 'user' as const, content: 'go' }];
    const again = performance.now();
    let spoken = Number.NaN;
    for await (const chunk of await straight.chat.completions.create({
      model: MODEL,
      messages,
      stream: true,
    }))
      if (chunk.choices[0]?.delta.content) spoken = performance.now() - again;
    if (index < 0) continue;
    firsts.push(first);
    words.push(word);
    direct.push(spoken);
  }
  return [
    summarise('request → first event of a response', firsts),
    summarise('request → first word of the model', words),
    summarise('  for comparison: the endpoint asked directly', direct),
  ];
}

/** Streams that begin together, each with a container of its own and two executions. */
async function parallelRuns({ fake, client }: Parts, runs: number): Promise<Row[]> {
  fake.reset();
  let errors = 0;
  const one = async (index: number): Promise<number> => {
    // A model of its own for each, so that each plays its own script.
    const model = `run-${index}`;
    fake.script(model, { calls: [call(`n = ${index}`)] }, { calls: [call('print(n)')] }, { text: 'Done.' });
    return timed(async () => {
      let printed = '';
      const include = ['code_interpreter_call.outputs' as const];
      const stream = await client.responses.create({
        model,
        input: 'go',
        tools: TOOLS,
        include,
        stream: true,
      });
      for await (const event of stream) {
        if (event.type === 'response.completed') printed = JSON.stringify(event.response.output);
      }
      if (!printed.includes(`"logs":"${index}\\n"`)) errors += 1;
    });
  };
  const each: number[] = [];
  const total = await timed(async () => {
    each.push(...(await Promise.all(Array.from({ length: runs }, (_, index) => one(index)))));
  });
  const made: string[] = [];
  for await (const { id } of client.containers.list()) made.push(id);
  for (const id of made) await client.containers.delete(id);
  if (errors > 0) throw new Error(`${errors} of ${runs} runs did not print what they should`);
  return [
    summarise(`${runs} streams at once, two executions each: all`, [total], {
      note: 'errors: 0; sandboxes start meanwhile',
    }),
    summarise('  each', each),
  ];
}

/** A background response with this many events, read again from the table. */
async function replay({ fake, client }: Parts, events: number): Promise<Row[]> {
  fake.reset();
  fake.script(MODEL, { text: 'x'.repeat(events), chunk: 1 });
  let id = '';
  const live = await timed(async () => {
    const stream = await client.responses.create({
      model: MODEL,
      input: 'go',
      background: true,
      stream: true,
    });
    for await (const event of stream) if (event.type === 'response.created') id = event.response.id;
  });
  let count = 0;
  const again = await timed(async () => {
    const stream = await client.responses.retrieve(id, { stream: true });
    for await (const event of stream) {
      if (event.sequence_number !== count) throw new Error(`event ${count} is missing`);
      count += 1;
    }
  });
  if (count < events) throw new Error(`${count} of ${events} events came back`);
  return [
    summarise(`${count} events of a background response, live`, [live]),
    summarise(`${count} events of a background response, replayed`, [again]),
  ];
}

/** All of it on one server; rows as they come. */
export async function responses(sizes: ResponseSizes): Promise<Row[]> {
  const fake = await new ModelEndpoint().start();
  const models = [MODEL, ...Array.from({ length: sizes.runs }, (_, index) => `run-${index}`)];
  const provider = { name: 'fake', base_url: fake.url, models };
  const MODEL_PROVIDERS = JSON.stringify([provider]);
  const env = { ...AS_INSTALLED, SANDBOX_POOL: '1g=2', LOG_LEVEL: 'warn', MODEL_PROVIDERS };
  const server = await startServer({ name: 'bench-responses', env });
  try {
    const client = new OpenAI({ baseURL: server.url, apiKey: server.apiKey, maxRetries: 0 });
    const parts = { fake, server, client };
    return [
      ...(await firstEvent(parts, sizes.firstEvents)),
      ...(await tokenLatency(fake, server, sizes.tokenRounds, sizes.tokens)),
      ...(await replay(parts, sizes.events)),
      ...(await parallelRuns(parts, sizes.runs)),
    ];
  } finally {
    await server.stop();
    await fake.stop();
  }
}
