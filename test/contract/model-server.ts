/** The server that the tests of the loop share, with a fake model endpoint of each file behind it. */
import OpenAI from 'openai';
import { beforeAll, beforeEach, afterAll, inject } from 'vitest';
import type { RecordedRequest } from '../fakes/model-endpoint/script.js';
import { ModelEndpoint } from '../fakes/model-endpoint/server.js';
import { MODEL_KEY } from '../support/model-providers.js';
import { type TestProject, useProject } from '../support/project.js';

export type Response = OpenAI.Responses.Response;
export type StreamEvent = OpenAI.Responses.ResponseStreamEvent;
export type Item = OpenAI.Responses.ResponseOutputItem;

export interface ModelServer {
  /** On the shared server; models and their traits are in `modelProviders`. */
  readonly project: TestProject;
  readonly fake: ModelEndpoint;
  readonly client: OpenAI;
  /** What the model was asked, oldest first. */
  readonly asked: (model?: string) => RecordedRequest['body'][];
  /** Ends the server politely and starts it again. */
  readonly restart: () => Promise<void>;
}

/** Call it once in a test file: the project is its own, and so is the endpoint that the models live at. */
export function useModelServer(): ModelServer {
  const fake = new ModelEndpoint({ key: MODEL_KEY });
  let client: OpenAI | undefined;
  const project = useProject('models');
  beforeAll(async () => {
    await fake.start(project.server.modelPort);
    client = new OpenAI({
      baseURL: project.server.url,
      apiKey: project.key,
      maxRetries: 0,
      timeout: 220_000,
    });
  });
  beforeEach(() => fake.reset());
  afterAll(() => fake.stop());
  return {
    project,
    fake,
    get client() {
      if (!client) throw new Error('there is no server yet');
      return client;
    },
    asked: (model = 'loop') => fake.requestsOf(model).map(({ body }) => body),
    restart: async () => {
      const reply = await fetch(`${inject('sharedServer')}/models`, { method: 'POST' });
      if (!reply.ok) throw new Error(await reply.text());
    },
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
