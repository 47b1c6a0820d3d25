/** The Response object, what is refused, and what is remembered (checks 71–84). */
import type OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collect, current, errorOf, newest } from '../support/clients.js';
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

describe('73–78: refused', () => {
  const tool = { type: 'code_interpreter', container: { type: 'auto' } };
  const many = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 'v']));

  it.each([
    ['76: no model', { model: undefined }, 'missing_required_parameter', 'model'],
    ['76: null for a model', { model: null }, 'invalid_type', 'model'],
    ['76: a number for a model', { model: 5 }, 'invalid_type', 'model'],
    ['76: an unknown model', { model: 'x' }, 'model_not_found', 'model'],
    ['76: an empty model', { model: '' }, 'model_not_found', 'model'],
    ['76: no input', { input: undefined }, 'missing_required_parameter', 'input'],
    ['76: null for input', { input: null }, 'missing_required_parameter', 'input'],
    ['76: empty input', { input: '' }, 'missing_required_parameter', null],
    ['76: no items of input', { input: [] }, 'missing_required_parameter', null],
    ['76: a number for input', { input: 1 }, 'invalid_type', 'input'],
    ['76: a text as an item', { input: ['x'] }, 'invalid_type', 'input[0]'],
    ['76: an unknown item', { input: [{ type: 'bogus' }] }, 'invalid_value', 'input[0].type'],
    ['76: an unknown role', { input: [{ role: 'boss', content: 'x' }] }, 'invalid_value', 'input[0].role'],
    [
      '76: an unknown part',
      { input: [{ role: 'user', content: [{ type: 'input_audio' }] }] },
      'invalid_value',
      'input[0].content[0].type',
    ],
    ['74: an unknown key', { foo: 1 }, 'unknown_parameter', 'foo'],
    ['74: a key of the older API', { messages: [] }, 'unsupported_parameter', 'messages'],
    ['73: too few tokens', { max_output_tokens: 1 }, 'integer_below_min_value', 'max_output_tokens'],
    ['73: half a token', { max_output_tokens: 16.5 }, 'invalid_type', 'max_output_tokens'],
    ['75: an unknown include', { include: ['bogus'] }, 'invalid_value', 'include[0]'],
    ['75: a text for include', { include: 'bogus' }, 'invalid_type', 'include'],
    ['77: metadata of 17 pairs', { metadata: many(17) }, 'object_above_max_properties', 'metadata'],
    ['77: a long value', { metadata: { k: 'v'.repeat(513) } }, 'string_above_max_length', 'metadata.k'],
    ['77: a number as a value', { metadata: { k: 1 } }, 'invalid_type', 'metadata.k'],
    ['a wrong type', { stream: 'yes' }, 'invalid_type', 'stream'],
    ['a wrong truncation', { truncation: 'bogus' }, 'invalid_value', 'truncation'],
    ['a high temperature', { temperature: 2.5 }, 'decimal_above_max_value', 'temperature'],
    ['no tool calls', { max_tool_calls: 0 }, 'integer_below_min_value', 'max_tool_calls'],
    ['a wrong format', { text: { format: { type: 'xml' } } }, 'invalid_value', 'text.format.type'],
    ['an unknown tool', { tools: [{ type: 'web_search' }] }, 'invalid_value', 'tools[0].type'],
    ['two interpreters', { tools: [tool, tool] }, 'invalid_value', 'tools[1]'],
    [
      'no type of container',
      { tools: [{ ...tool, container: {} }] },
      'missing_required_parameter',
      'tools[0].container.type',
    ],
    [
      'a wrong container',
      { tools: [{ ...tool, container: { type: 'manual' } }] },
      'invalid_value',
      'tools[0].container.type',
    ],
    [
      'a number for a container',
      { tools: [{ ...tool, container: 5 }] },
      'invalid_type',
      'tools[0].container',
    ],
    [
      'a wrong memory limit',
      { tools: [{ ...tool, container: { type: 'auto', memory_limit: '2g' } }] },
      'invalid_value',
      'tools[0].container.memory_limit',
    ],
    [
      'a network',
      {
        tools: [
          {
            ...tool,
            container: { type: 'auto', network_policy: { type: 'allowlist', allowed_domains: ['a.b'] } },
          },
        ],
      },
      'unsupported_value',
      'tools[0].container.network_policy.type',
    ],
    [
      'a function without a name',
      { tools: [{ type: 'function' }] },
      'missing_required_parameter',
      'tools[0].name',
    ],
    [
      'a choice of a function that is not there',
      { tool_choice: { type: 'function', name: 'f' } },
      'invalid_value',
      'tool_choice',
    ],
    ['a wrong choice', { tool_choice: 'sometimes' }, 'invalid_value', 'tool_choice'],
  ])('%s', async (_, changes, code, param) => {
    const request = { model: 'python', input: 'print(1)', tools: [tool], ...changes };
    expect(await project.api.refused(400, 'POST', '/responses', request)).toMatchObject({
      code,
      param,
      type: 'invalid_request_error',
    });
  });

  it('74: suggests the key that was meant', async () => {
    expect((await project.api.refused(400, 'POST', '/responses', { ...body(), stor: true })).message).toBe(
      "Unknown parameter: 'stor'. Did you mean 'store'?",
    );
  });

  it('76: an unknown model is told in the words of the real service', async () => {
    const error = await project.api.refused(400, 'POST', '/responses', { model: 'x', input: 'y' });
    expect(error.message).toBe("The requested model 'x' does not exist.");
  });

  it('a conversation and a prompt must exist, and the background must be stored', async () => {
    const { api } = project;
    expect(
      (await api.refused(404, 'POST', '/responses', { ...body(), conversation: 'conv_x' })).message,
    ).toBe("Conversation with id 'conv_x' not found.");
    await api.refused(404, 'POST', '/responses', { ...body(), prompt: { id: 'pmpt_x' } });
    expect(
      await api.refused(400, 'POST', '/responses', { ...body(), background: true, store: false }),
    ).toMatchObject({ param: 'background' });
  });

  it('103: only background responses can be streamed again', async () => {
    const made = await runPython(newest.connect(project), 'print(1)', { container });
    expect(await project.api.refused(400, 'GET', `/responses/${made.id}?stream=true`)).toMatchObject({
      param: 'stream',
    });
    await project.api.refused(404, 'GET', '/responses/resp_x?stream=true');
  });

  it('107: three ways to write an array in a query', async () => {
    const made = await runPython(newest.connect(project), 'print(1)', { container });
    const value = 'code_interpreter_call.outputs';
    for (const query of [
      `include[]=${value}`,
      `include%5B%5D=${value}`,
      `include=${value}`,
      `include=${value}&include=${value}`,
    ]) {
      const seen = await project.api.ok<OpenAI.Responses.Response>('GET', `/responses/${made.id}?${query}`);
      expect(logsOf(seen)).toBe('1\n');
    }
    expect(await project.api.refused(400, 'GET', `/responses/${made.id}?include=bogus`)).toMatchObject({
      param: 'include[0]',
    });
  });

  it('leaves nothing behind', async () => {
    const before = await project.api.ok<{ data: unknown[] }>('GET', '/containers?limit=100');
    await project.api.refused(400, 'POST', '/responses', {
      model: 'python',
      input: 'print(1)',
      tools: [tool],
      include: ['bogus'],
    });
    await project.api.refused(400, 'POST', '/responses', {
      model: 'python',
      input: '1',
      tools: [tool],
      previous_response_id: 'resp_x',
    });
    expect((await project.api.ok<{ data: unknown[] }>('GET', '/containers?limit=100')).data).toHaveLength(
      before.data.length,
    );
  });
});
