/** A server of our own with the fake model endpoint behind it, for the tests of the loop. */
import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import type { RecordedRequest } from '../fakes/model-endpoint/script.js';
import { ModelEndpoint } from '../fakes/model-endpoint/server.js';
import { showLogOnFailure } from '../support/project.js';
import { startServer, type TestServer } from '../support/server.js';

export type Response = OpenAI.Responses.Response;
export type StreamEvent = OpenAI.Responses.ResponseStreamEvent;
export type Item = OpenAI.Responses.ResponseOutputItem;

/** Must never be seen outside the process that was told it. */
export const UPSTREAM_KEY = 'sk-upstream-key-that-nobody-may-see';

export interface ModelServer {
  readonly fake: ModelEndpoint;
  readonly client: OpenAI;
  readonly server: TestServer;
  /** What the model was asked, oldest first. */
  readonly asked: (model?: string) => RecordedRequest['body'][];
}

/** Call it once in a test file. Models: `loop`, `seeing` (has vision), `plain` (no tools), `narrow` (1 500 tokens). */
export function useModelServer(): ModelServer {
  const fake = new ModelEndpoint({ key: UPSTREAM_KEY });
  let server: TestServer | undefined;
  let client: OpenAI | undefined;
  beforeAll(async () => {
    await fake.start();
    const provider = {
      name: 'fake',
      base_url: fake.url,
      api_key: UPSTREAM_KEY,
      models: [
        'loop',
        { id: 'seeing', vision: true },
        { id: 'plain', tools: false },
        { id: 'narrow', context_tokens: 1_500 },
      ],
      max_retries: 1,
      timeout_ms: 20_000,
    };
    const locked = { ...provider, name: 'locked', api_key: 'sk-the-wrong-key-0123', models: ['keyless'] };
    const env = { SANDBOX_POOL: '1g=1', MODEL_PROVIDERS: JSON.stringify([provider, locked]) };
    server = await startServer({ name: 'models', env });
    client = new OpenAI({ baseURL: server.url, apiKey: server.apiKey, maxRetries: 0, timeout: 110_000 });
  });
  showLogOnFailure(() => server);
  beforeEach(() => fake.reset());
  afterAll(async () => {
    await server?.stop();
    await fake.stop();
  });
  return {
    fake,
    get client() {
      if (!client) throw new Error('there is no server yet');
      return client;
    },
    get server() {
      if (!server) throw new Error('there is no server yet');
      return server;
    },
    asked: (model = 'loop') => fake.requestsOf(model).map(({ body }) => body),
  };
}

/** A call of the python tool, as a model writes it. */
export const python = (code: string) => ({ name: 'python', arguments: { code } });

export const CITY = {
  type: 'function',
  name: 'get_city',
  parameters: { type: 'object', properties: {}, additionalProperties: false },
  strict: true,
} as const;

/** All events of a stream. */
export async function eventsOf(stream: PromiseLike<AsyncIterable<StreamEvent>>): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  for await (const event of await stream) events.push(event);
  return events;
}

/** The response in the last event. */
export function lastResponse(events: readonly StreamEvent[]): Response {
  const last = events.at(-1);
  if (!last || !('response' in last)) throw new Error(`the stream ended with ${JSON.stringify(last)}`);
  return last.response;
}

/** What was said, without what differs from run to run. */
export function withoutIds(output: readonly Item[]): unknown {
  const text = JSON.stringify(output, (key, value: unknown) =>
    ['id', 'call_id', 'container_id', 'file_id'].includes(key) ? 'id' : value,
  );
  return JSON.parse(text) as unknown;
}
