/** Background responses that are taken up in the middle: what was said counts when its turn had ended. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { newResponse } from '../../../orchestrator/src/responses/record/new-response.js';
import type { DraftEvent, MessageItem } from '../../../orchestrator/src/responses/response.types.js';
import { Sequencer } from '../../../orchestrator/src/responses/record/sequencer.js';
import type { TurnEnd } from '../../../orchestrator/src/responses/record/turn-end.js';
import { FakeExecution } from '../../fakes/sandboxes/fake-execution.js';
import { eventually } from '../../support/api.js';
import { type ModelApp, startModelApp, TOOLS } from './model-app.js';

const PREAMBLE = 'Let me compute that.';
const MODELS = ['preamble', 'half', 'ended', 'cut', 'count', 'marks'];

let server: ModelApp;
beforeAll(async () => {
  server = await startModelApp(MODELS);
});
afterAll(() => server?.stop());

const message = (status: MessageItem['status'], text: string): MessageItem => ({
  id: 'msg_before',
  type: 'message',
  status,
  role: 'assistant',
  content: status === 'completed' ? [{ type: 'output_text', text, annotations: [], logprobs: [] }] : [],
});

const BEGUN: readonly DraftEvent[] = [
  { type: 'response.created' },
  { type: 'response.queued' },
  { type: 'response.in_progress' },
  { type: 'response.output_item.added', item: message('in_progress', '') },
  {
    type: 'response.content_part.added',
    item_id: 'msg_before',
    content_index: 0,
    part: { type: 'output_text', text: '', annotations: [], logprobs: [] },
  },
  {
    type: 'response.output_text.delta',
    item_id: 'msg_before',
    content_index: 0,
    delta: PREAMBLE,
    logprobs: [],
  },
];
const SAID: readonly DraftEvent[] = [
  ...BEGUN,
  { type: 'response.output_item.done', item: message('completed', PREAMBLE) },
];

interface Died {
  readonly key: string;
  readonly model: string;
  readonly drafts: readonly DraftEvent[];
  readonly turn?: TurnEnd;
  readonly request?: object;
}

let count = 0;

/** As a process that died leaves a response: claimed, its lease over, with what it had told. */
async function leave(projectId: string, { model, drafts, turn, request = {} }: Died): Promise<string> {
  const id = `resp_died_${(count += 1)}`;
  const asked = { model, input: 'go', tools: TOOLS, background: true, stream: true, ...request };
  const initial = newResponse(id, asked as never, new Date());
  const sequencer = new Sequencer(initial);
  const events = drafts.map((draft) => sequencer.next(draft));
  const input = {
    id: 'msg_in',
    type: 'message',
    role: 'user',
    content: [{ type: 'input_text', text: 'go' }],
  };
  await server.prisma.response.create({
    data: {
      id,
      projectId,
      status: 'in_progress',
      model,
      background: true,
      streamed: true,
      request: { ...asked, input: undefined },
      body: initial as never,
      attempt: 1,
      leaseUntil: new Date(0),
      ...(turn ? { turn: turn as never } : {}),
      items: { create: [{ id: input.id, projectId, kind: 'input', position: 0, item: input }] },
      events: {
        create: events.map((event) => ({ sequenceNumber: event.sequence_number, event: event as never })),
      },
    },
  });
  return id;
}

interface Shown {
  readonly status: string;
  readonly output: readonly { type: string; id: string; status: string; content: { text: string }[] }[];
  readonly usage: { input_tokens: number; output_tokens: number };
  readonly incomplete_details: unknown;
}

async function ended(died: Omit<Died, 'key'>): Promise<Shown & { readonly stream: string }> {
  const { id: project, key } = await server.project();
  const id = await leave(project, { key, ...died });
  const { body } = await eventually(
    () => server.ask(key, 'GET', `/v1/responses/${id}`),
    (reply) => !['queued', 'in_progress'].includes(reply.body['status'] as string),
    40_000,
  );
  const { text } = await server.ask(key, 'GET', `/v1/responses/${id}?stream=true`);
  return { ...(body as unknown as Shown), stream: text };
}

const said = ({ output }: Shown) =>
  output.flatMap((item) => (item.type === 'message' ? item.content.map(({ text }) => text) : []));

const usage = { prompt_tokens: 7, completion_tokens: 3 };
const turn: TurnEnd = {
  turns: 1,
  finish: 'stop',
  goesOn: false,
  items: ['msg_before'],
  usage: { input: 100, cached: 0, output: 40, reasoning: 0 },
};

describe('a response that is taken up', () => {
  it('after words whose turn had not ended asks the model again, and these are not its answer', async () => {
    server.model.script('preamble', { text: 'The answer.' });
    const shown = await ended({ model: 'preamble', drafts: SAID });
    expect(shown.status).toBe('completed');
    expect(said(shown)).toEqual(['The answer.']);
    expect(server.model.requestsOf('preamble')).toHaveLength(1);
  });

  it('in half a message closes it in the stream, and says it anew in the output', async () => {
    server.model.script('half', { text: 'The answer.' });
    const shown = await ended({ model: 'half', drafts: BEGUN });
    expect(said(shown)).toEqual(['The answer.']);
    expect(shown.output).toHaveLength(1);
    const events = shown.stream
      .split('\n')
      .flatMap((line) =>
        line.startsWith('data: ') ? [JSON.parse(line.slice(6)) as Record<string, unknown>] : [],
      );
    const done = events.filter(({ type }) => type === 'response.output_item.done');
    expect(done.map((event) => (event['item'] as { status: string }).status)).toEqual([
      'incomplete',
      'completed',
    ]);
    // Each item keeps a place of its own in the stream.
    expect(done.map((event) => event['output_index'])).toEqual([0, 1]);
    expect(events.map((event) => event['sequence_number'])).toEqual(events.map((_, index) => index));
  });

  it('after its answer asks nobody, and keeps what its turns used', async () => {
    const shown = await ended({ model: 'ended', drafts: SAID, turn });
    expect([shown.status, said(shown)]).toEqual(['completed', [PREAMBLE]]);
    expect(shown.usage).toMatchObject({ input_tokens: 100, output_tokens: 40 });
    expect(server.model.requestsOf('ended')).toHaveLength(0);
  });

  it('after its token limit is incomplete, as it would have been', async () => {
    const shown = await ended({ model: 'cut', drafts: SAID, turn: { ...turn, finish: 'length' } });
    expect([shown.status, shown.incomplete_details]).toEqual(['incomplete', { reason: 'max_output_tokens' }]);
  });

  it('counts on: tokens that were used leave fewer, and are in the usage', async () => {
    server.model.script('count', { text: 'The answer.', usage });
    const goesOn = { ...turn, finish: 'tool_calls', goesOn: true } as const;
    const request = { max_output_tokens: 100 };
    const shown = await ended({ model: 'count', drafts: SAID, turn: goesOn, request });
    const [asked] = server.model.requestsOf('count');
    expect(asked!.body['max_completion_tokens'] ?? asked!.body['max_tokens']).toBe(60);
    expect(shown.usage).toMatchObject({ input_tokens: 107, output_tokens: 43 });
    expect(said(shown)).toEqual([PREAMBLE, 'The answer.']);
  });

  it('finds the end of each turn written down before its code runs', async () => {
    const { key } = await server.project();
    server.model.script('marks', {
      text: PREAMBLE,
      calls: [{ name: 'python', arguments: { code: 'sleep:60000' } }],
      usage,
    });
    // The row of an execution says `running` before the sandbox has the code.
    const ran = vi.spyOn(FakeExecution.prototype, 'run');
    const begun = await server.respond(key, 'marks', { tools: TOOLS, background: true });
    const { id } = begun.body;
    await vi.waitFor(() => expect(ran).toHaveBeenCalledOnce(), 20_000);
    ran.mockRestore();
    const row = await server.prisma.response.findUniqueOrThrow({ where: { id } });
    expect(row.turn).toMatchObject({
      turns: 1,
      finish: 'tool_calls',
      goesOn: true,
      usage: { input: 7, output: 3 },
    });
    expect((row.turn as unknown as TurnEnd).items).toHaveLength(2);
    await server.ask(key, 'POST', `/v1/responses/${id}/cancel`);
  });
});
