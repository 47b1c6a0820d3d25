/** The Response object, what is refused, and what is remembered (checks 71–84). */
import type OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collect, current, errorOf } from '../support/clients.js';
import { useProject } from '../support/project.js';
import {
  AUTO,
  callOf,
  logsOf,
  OUTPUTS,
  pythonRequest,
  type PythonRequest,
  runPython,
} from '../support/python-model.js';

const project = useProject();
let container = '';
beforeAll(async () => void (container = await project.api.newContainer()));
afterAll(async () => project.api.delete(`/containers/${container}`));

/** Everything a Response has when nothing was asked for. */
const DEFAULTS = {
  object: 'response',
  status: 'completed',
  background: false,
  error: null,
  incomplete_details: null,
  instructions: null,
  max_output_tokens: null,
  max_tool_calls: null,
  model: 'python',
  parallel_tool_calls: true,
  previous_response_id: null,
  prompt_cache_key: null,
  prompt_cache_retention: null,
  reasoning: { effort: null, summary: null },
  safety_identifier: null,
  service_tier: 'default',
  store: true,
  temperature: 1,
  top_p: 1,
  top_logprobs: 0,
  frequency_penalty: 0,
  presence_penalty: 0,
  text: { format: { type: 'text' }, verbosity: 'medium' },
  tool_choice: 'auto',
  truncation: 'disabled',
  user: null,
  metadata: {},
  moderation: null,
  access_programs: null,
};

const body = (request: PythonRequest & Record<string, unknown> = {}, code = 'print(1)') =>
  pythonRequest(code, { container, ...request } as PythonRequest);

describe.each(current)('$name', ({ connect }) => {
  const run = (code: string, request: PythonRequest = {}) =>
    runPython(connect(project), code, { container, ...request });

  it('71, 72: a plain response has every key', async () => {
    const made = await run('print(1)');
    const { output_text: _, ...seen } = JSON.parse(JSON.stringify(made)) as Record<string, unknown>;
    expect(seen).toEqual({
      ...DEFAULTS,
      id: made.id,
      created_at: expect.any(Number),
      completed_at: expect.any(Number),
      output: made.output,
      tools: [{ type: 'code_interpreter', container }],
      usage: {
        input_tokens: expect.any(Number),
        input_tokens_details: { cached_tokens: expect.any(Number), cache_write_tokens: expect.any(Number) },
        output_tokens: expect.any(Number),
        output_tokens_details: { reasoning_tokens: expect.any(Number) },
        total_tokens: made.usage!.input_tokens + made.usage!.output_tokens,
      },
    });
    expect(made.completed_at!).toBeGreaterThanOrEqual(made.created_at);
    expect(made.usage!.total_tokens).toBeGreaterThan(0);
    const message = made.output.at(-1) as OpenAI.Responses.ResponseOutputMessage;
    expect(message.content[0]).toMatchObject({ type: 'output_text', annotations: [], logprobs: [] });
    expect(await connect(project).responses.retrieve(made.id)).toEqual(made);
  });

  it('77, 83: echoes what was asked for, and takes null for absent', async () => {
    const metadata = Object.fromEntries(
      Array.from({ length: 16 }, (_, index) => [`key${index}`, 'v'.repeat(512)]),
    );
    const asked = {
      metadata,
      instructions: 'be brief',
      temperature: 0.5,
      top_p: 0.25,
      max_output_tokens: 16000,
    };
    expect(await run('print(1)', asked)).toMatchObject(asked);
    const nulls = Object.fromEntries(
      [
        'instructions',
        'tool_choice',
        'parallel_tool_calls',
        'max_tool_calls',
        'max_output_tokens',
        'temperature',
        'top_p',
        'top_logprobs',
        'text',
        'reasoning',
        'stream',
        'stream_options',
        'background',
        'store',
        'previous_response_id',
        'conversation',
        'include',
        'metadata',
        'truncation',
        'service_tier',
        'user',
        'safety_identifier',
        'prompt_cache_key',
        'prompt_cache_retention',
        'context_management',
        'prompt',
        'moderation',
        'access_programs',
        'image',
      ].map((key) => [key, null]),
    );
    expect(await run('print(1)', nulls)).toMatchObject({ ...DEFAULTS, output: expect.any(Array) });
  });

  it('78: a previous response must exist', async () => {
    const error = await errorOf(run('1', { previous_response_id: 'resp_x' }));
    expect(error).toMatchObject({
      status: 400,
      code: 'previous_response_not_found',
      param: 'previous_response_id',
    });
    expect(error.message).toContain("Previous response with id 'resp_x' not found.");
    expect(await errorOf(run('1', { previous_response_id: 'resp_x', conversation: 'conv_x' }))).toMatchObject(
      {
        status: 400,
        code: 'mutually_exclusive_parameters',
      },
    );
  });

  it('79: one that is not stored cannot be found', async () => {
    const client = connect(project);
    const made = await run('print(1)', { store: false });
    expect(made).toMatchObject({ store: false, status: 'completed' });
    expect(await errorOf(client.responses.retrieve(made.id))).toMatchObject({
      status: 404,
      message: `404 Response with id '${made.id}' not found.`,
    });
    expect(await errorOf(run('1', { previous: made }))).toMatchObject({
      code: 'previous_response_not_found',
    });
    expect(await errorOf(client.responses.inputItems.list(made.id))).toMatchObject({ status: 404 });
  });

  it('80: is deleted', async () => {
    const client = connect(project);
    const made = await run('print(1)');
    const next = await run('print(2)', { previous: made });
    await client.responses.delete(made.id);
    expect(await errorOf(client.responses.retrieve(made.id))).toMatchObject({ status: 404 });
    expect(await errorOf(client.responses.delete(made.id))).toMatchObject({ status: 404 });
    expect(await errorOf(run('1', { previous: made }))).toMatchObject({
      code: 'previous_response_not_found',
    });
    expect((await client.responses.retrieve(next.id)).previous_response_id).toBe(made.id);
  });

  it('81: lists its input', async () => {
    const client = connect(project);
    const made = await client.responses.create({
      ...body(),
      input: [
        { role: 'developer', content: 'first' },
        { role: 'user', content: [{ type: 'input_text', text: 'second' }] },
        { role: 'user', content: 'print(3)' },
      ],
    });
    const items = await collect(client.responses.inputItems.list(made.id, { limit: 2 }));
    expect(items).toEqual(
      [
        ['user', 'print(3)'],
        ['user', 'second'],
        ['developer', 'first'],
      ].map(([role, text]) => ({
        id: expect.stringMatching(/^msg_/),
        type: 'message',
        role,
        status: 'completed',
        content: [{ type: 'input_text', text }],
      })),
    );
    const upwards = await collect(client.responses.inputItems.list(made.id, { limit: 1, order: 'asc' }));
    expect(upwards).toEqual([...items].reverse());
    const next = await run('print(4)', { previous: made });
    const inherited = await collect(
      client.responses.inputItems.list(next.id, { order: 'asc', include: OUTPUTS }),
    );
    expect(inherited.map(({ type }) => type)).toEqual([
      'message',
      'message',
      'message',
      'code_interpreter_call',
      'message',
      'message',
    ]);
    expect(await errorOf(client.responses.inputItems.list(made.id, { after: 'msg_x' }))).toMatchObject({
      status: 404,
    });
  });

  it('82: the messages of turn one are there in turn two', async () => {
    const client = connect(project);
    const made = await run('z = 5; print(z)', { instructions: 'only for this turn' });
    const next = await client.responses.create({
      ...body({ previous: made }),
      input: [{ role: 'developer', content: 'go on' }],
    });
    expect(callOf(next).code).toBe('z = 5; print(z)');
    expect(next.instructions).toBeNull();
  });

  it('84: a function call needs its output', async () => {
    const client = connect(project);
    const tools = [
      AUTO,
      { type: 'function', name: 'look', parameters: { type: 'object' }, strict: true },
    ] as never;
    const call = { type: 'function_call', call_id: 'call_1', name: 'look', arguments: '{}' } as const;
    const user = { role: 'user', content: 'print(7)' } as const;
    const error = await errorOf(client.responses.create({ model: 'python', tools, input: [call, user] }));
    expect(error).toMatchObject({ status: 400, param: 'input', code: null });
    expect(error.message).toContain('No tool output found for function call call_1.');
    const made = await client.responses.create({
      model: 'python',
      tools: [{ type: 'code_interpreter', container }],
      include: OUTPUTS,
      input: [call, { type: 'function_call_output', call_id: 'call_1', output: 'seen' }, user],
    });
    expect(logsOf(made)).toBe('7\n');
  });

  it('84: a function tool is echoed with its defaults', async () => {
    const made = await connect(project).responses.create({
      ...body(),
      tools: [
        { type: 'code_interpreter', container },
        { type: 'function', name: 'f', parameters: null } as never,
      ],
    });
    expect(made.tools[1]).toEqual({
      type: 'function',
      name: 'f',
      description: null,
      parameters: null,
      strict: true,
    });
  });

  it('takes back its own output as input, parsed parts included', async () => {
    const client = connect(project);
    const made = await run('print(1)', { include: OUTPUTS });
    const replay = made.output.map((item) => ({ ...item, parsed: null, status: null }));
    const next = await client.responses.create({
      ...body(),
      input: [...replay, { role: 'user', content: 'print(2)' }] as never,
    });
    expect(next.status).toBe('completed');
  });

  it('resolves a reference to an item', async () => {
    const client = connect(project);
    const made = await run('print(8)');
    const [message] = await collect(client.responses.inputItems.list(made.id));
    const next = await client.responses.create({
      ...body({ include: OUTPUTS }),
      input: [{ type: 'item_reference', id: (message as { id: string }).id }],
    });
    expect(logsOf(next)).toBe('8\n');
    const error = await errorOf(
      client.responses.create({ ...body(), input: [{ type: 'item_reference', id: 'rs_x' }] }),
    );
    expect(error).toMatchObject({ status: 404, param: 'input', code: null });
    expect(error.message).toContain("Item with id 'rs_x' not found.");
  });
});
