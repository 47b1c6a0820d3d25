/** What POST /responses refuses (checks 73–78): with which code, naming what, and leaving nothing behind. */
import type OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newest } from '../support/clients.js';
import { useProject } from '../support/project.js';
import { logsOf, pythonRequest, type PythonRequest, runPython } from '../support/python-model.js';

const project = useProject();
let container = '';
beforeAll(async () => void (container = await project.api.newContainer()));
afterAll(async () => project.api.delete(`/containers/${container}`));

const body = (request: PythonRequest & Record<string, unknown> = {}, code = 'print(1)') =>
  pythonRequest(code, { container, ...request } as PythonRequest);

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
