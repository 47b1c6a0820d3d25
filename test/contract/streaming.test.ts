/** Responses as a stream (checks 89–98, without a language model). */
import { setTimeout as sleep } from 'node:timers/promises';
import type OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, type Json } from '../support/api.js';
import { current, errorOf } from '../support/clients.js';
import { useProject } from '../support/project.js';
import { callOf, logsOf, OUTPUTS, pythonRequest, type PythonRequest } from '../support/python-model.js';

type Event = OpenAI.Responses.ResponseStreamEvent;
const project = useProject();
let container = '';
beforeAll(async () => void (container = await project.api.newContainer()));
afterAll(async () => project.api.delete(`/containers/${container}`));

const PROGRAM = "open('/mnt/data/report.csv', 'w').write('a,b')\nprint('é' * 30)\n# " + 'x'.repeat(3_000);
const request = (code = PROGRAM, more: PythonRequest = {}) => pythonRequest(code, { container, ...more });
const ofType = <T extends Event['type']>(events: readonly Event[], type: T) =>
  events.filter((event): event is Extract<Event, { type: T }> => event.type === type);

/** The order of docs/contract/streaming.md with one call and one message. */
const ORDER = [
  'response.created',
  'response.in_progress',
  'response.output_item.added',
  'response.code_interpreter_call.in_progress',
  'response.code_interpreter_call_code.delta',
  'response.code_interpreter_call_code.done',
  'response.code_interpreter_call.interpreting',
  'response.code_interpreter_call.completed',
  'response.output_item.done',
  'response.output_item.added',
  'response.content_part.added',
  'response.output_text.delta',
  'response.output_text.annotation.added',
  'response.output_text.done',
  'response.content_part.done',
  'response.output_item.done',
  'response.completed',
];

describe.each(current)('$name', ({ connect }) => {
  let events: Event[] = [];

  beforeAll(async () => {
    events = [];
    const stream = await connect(project).responses.create({ ...request(), stream: true, include: OUTPUTS });
    for await (const event of stream) events.push(event);
  });

  it('89: events come in order, numbered without gaps', () => {
    const types = events.map(({ type }) => type);
    expect(types.filter((type, index) => type !== types[index - 1])).toEqual(ORDER);
    expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, index) => index));
    expect(events[0]).toMatchObject({
      response: { status: 'in_progress', output: [], usage: null, error: null },
    });
    expect(events.at(-1)).toMatchObject({ response: { status: 'completed', error: null } });
  });

  it('89: an item says where it will run before it runs', () => {
    const [added] = ofType(events, 'response.output_item.added');
    expect(added).toMatchObject({
      output_index: 0,
      item: {
        type: 'code_interpreter_call',
        status: 'in_progress',
        code: '',
        container_id: container,
        outputs: [],
      },
    });
    const done = ofType(events, 'response.output_item.done');
    expect(done[0]).toMatchObject({ output_index: 0, item: { id: added!.item.id, status: 'completed' } });
    expect(done[1]).toMatchObject({ output_index: 1, item: { type: 'message', status: 'completed' } });
    for (const event of events.slice(3, -1)) {
      if ('item_id' in event && 'output_index' in event) {
        expect(event.item_id).toBe((done[event.output_index]!.item as { id: string }).id);
      }
    }
  });

  it('90: deltas add up', () => {
    const join = (parts: readonly { delta: string }[]) => parts.map(({ delta }) => delta).join('');
    const code = ofType(events, 'response.code_interpreter_call_code.done')[0]!.code;
    expect(join(ofType(events, 'response.code_interpreter_call_code.delta'))).toBe(code);
    expect(code).toBe(PROGRAM);
    const final = ofType(events, 'response.completed')[0]!.response;
    expect(callOf(final).code).toBe(PROGRAM);
    const text = ofType(events, 'response.output_text.done')[0]!.text;
    expect(join(ofType(events, 'response.output_text.delta') as { delta: string }[])).toBe(text);
    const message = final.output[1] as OpenAI.Responses.ResponseOutputMessage;
    expect(message.content[0]).toMatchObject({ text });
    expect(logsOf(final)).toBe(`${'é'.repeat(30)}\n`);
  });

  it('92: an annotation comes before the text is done, and is the final one', () => {
    const annotations = ofType(events, 'response.output_text.annotation.added');
    const done = ofType(events, 'response.output_text.done')[0]!;
    expect(annotations.map(({ annotation_index }) => annotation_index)).toEqual(
      annotations.map((_, index) => index),
    );
    expect(annotations.every((each) => each.sequence_number < done.sequence_number)).toBe(true);
    const part = ofType(events, 'response.content_part.done')[0]!.part as OpenAI.Responses.ResponseOutputText;
    expect(annotations.map(({ annotation }) => annotation)).toEqual(part.annotations);
    expect(part.annotations[0]).toMatchObject({ type: 'container_file_citation', filename: 'report.csv' });
    const final = ofType(events, 'response.completed')[0]!.response;
    expect((final.output[1] as OpenAI.Responses.ResponseOutputMessage).content[0]).toEqual(part);
  });

  it('91: the helper’s final response is the stored one', async () => {
    const client = connect(project);
    const stream = client.responses.stream(request('print(2)') as never);
    const final = await stream.finalResponse();
    const stored = await client.responses.retrieve(final.id);
    expect(final.output_text).toBe(stored.output_text);
    expect(final.output.map(({ id, type }) => [id, type])).toEqual(
      stored.output.map(({ id, type }) => [id, type]),
    );
    expect(final).toMatchObject({
      status: 'completed',
      usage: stored.usage,
      completed_at: stored.completed_at,
      tools: stored.tools,
    });
  });

  it('94: a request that is wrong is refused before the stream begins', async () => {
    const client = connect(project);
    const error = await errorOf(
      client.responses.create({ ...request(), stream: true, include: ['bogus' as never] }),
    );
    expect(error.constructor.name).toBe('BadRequestError');
    expect(error).toMatchObject({ status: 400, param: 'include[0]' });
    const unknown = client.responses.create({ ...request('1', { container: 'cntr_x' }), stream: true });
    expect(await errorOf(unknown)).toMatchObject({ status: 404 });
  });

  it('95: a model that refuses ends in response.failed', async () => {
    const stream = connect(project).responses.stream({ ...request(), tool_choice: 'none' } as never);
    const final = await stream.finalResponse();
    expect(final.status).toBe('failed');
    expect(final.error).toMatchObject({
      code: 'server_error',
      message: expect.stringContaining('code_interpreter'),
    });
    expect(await connect(project).responses.retrieve(final.id)).toMatchObject({
      status: 'failed',
      error: final.error,
    });
  });

  it('96: code stops when the client goes away', async () => {
    const controller = new AbortController();
    const code =
      "import time\nfor i in range(600):\n    open('/mnt/data/beat.txt', 'w').write(str(i)); time.sleep(0.1)";
    const stream = await connect(project).responses.create(
      { ...request(code), stream: true },
      { signal: controller.signal },
    );
    let id = '';
    for await (const event of stream) {
      if (event.type === 'response.created') id = event.response.id;
      if (event.type === 'response.code_interpreter_call.interpreting') break;
    }
    controller.abort();
    const read = async () => project.api.printed(container, "print(open('/mnt/data/beat.txt').read())");
    const first = await read();
    await sleep(500);
    expect(await read()).toBe(first);
    expect(Number(first)).toBeLessThan(500);
    const status = () => project.api.ok<{ status: string }>('GET', `/responses/${id}`);
    expect(await eventually(status, (seen) => seen.status !== 'in_progress')).toMatchObject({
      status: 'cancelled',
    });
  });
});

describe('over plain HTTP', () => {
  it('89, 93: a stream has no ids, no [DONE], and a blank line at its end', async () => {
    const reply = await project.api.stream('/responses', { ...request('print(1)'), stream: true });
    expect(reply.status).toBe(200);
    expect(reply.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(reply.headers.get('cache-control')).toContain('no-cache');
    expect(reply.headers.get('x-request-id')).toMatch(/^req_/);
    expect(reply.headers.get('content-encoding')).toBeNull();
    expect(reply.endsWithBlankLine).toBe(true);
    expect(reply.text).not.toContain('[DONE]');
    for (const { event, data, lines } of reply.events) {
      expect(lines).toHaveLength(2);
      expect(lines.filter((line) => line.startsWith('id:'))).toEqual([]);
      expect(event).toBe(data['type']);
      expect(data['error'] ?? null).toBeNull();
    }
  });

  it('42: outputs in a stream follow include', async () => {
    const outputsOf = async (include: string[]) => {
      const { events } = await project.api.stream('/responses', {
        ...request('print(1)'),
        stream: true,
        include,
      });
      const done = events.find(({ event }) => event === 'response.output_item.done')!.data['item'] as Json;
      const final = events.at(-1)!.data['response'] as { output: Json[] };
      return [done['outputs'], final.output[0]!['outputs']];
    };
    expect(await outputsOf([])).toEqual([null, null]);
    const logs = [{ type: 'logs', logs: '1\n' }];
    expect(await outputsOf(['code_interpreter_call.outputs'])).toEqual([logs, logs]);
  });

  it('the stored response is there when the stream says it is', async () => {
    const reply = await fetch(`${project.server.url}/responses`, {
      method: 'POST',
      headers: { authorization: `Bearer ${project.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ ...request('import time; time.sleep(1)'), stream: true }),
    });
    const reader = reply.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    while (!text.includes('code_interpreter_call.interpreting')) text += (await reader.read()).value ?? '';
    const id = /"id":"(resp_[0-9a-f]+)"/.exec(text)![1]!;
    expect(await project.api.ok('GET', `/responses/${id}`)).toMatchObject({
      status: 'in_progress',
      output: [],
      usage: null,
    });
    expect(await project.api.refused(400, 'DELETE', `/responses/${id}`)).toMatchObject({
      type: 'invalid_request_error',
    });
    while (!text.includes('event: response.completed')) text += (await reader.read()).value ?? '';
    expect(await project.api.ok('GET', `/responses/${id}`)).toMatchObject({ status: 'completed' });
    await reader.cancel();
  });
});
