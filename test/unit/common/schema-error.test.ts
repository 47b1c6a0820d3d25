import { describe, expect, it } from 'vitest';
import { ApiError } from '../../../orchestrator/src/common/api-error.js';
import { closest, editDistance } from '../../../orchestrator/src/common/edit-distance.js';
import { formatPath } from '../../../orchestrator/src/common/schema-error.js';
import { parseCreateResponse } from '../../../orchestrator/src/responses/response.schema.js';

function fault(body: unknown): { status: number; code: string; param: string | null; message: string } {
  try {
    parseCreateResponse(body);
  } catch (error) {
    if (error instanceof ApiError)
      return { status: error.status, code: error.code, param: error.param, message: error.message };
    throw error;
  }
  throw new Error('accepted');
}

const base = { model: 'python', input: 'x' };
const interpreter = { type: 'code_interpreter', container: { type: 'auto' } };

describe('what is wrong with a request', () => {
  it.each([
    [{}, 'missing_required_parameter', 'model'],
    [{ model: null, input: 'x' }, 'invalid_type', 'model'],
    [{ model: 'm' }, 'missing_required_parameter', 'input'],
    [{ model: 'm', input: [] }, 'missing_required_parameter', null],
    [{ model: 'm', input: '' }, 'missing_required_parameter', null],
    [{ ...base, stroe: true }, 'unknown_parameter', 'stroe'],
    [{ ...base, messages: [] }, 'unsupported_parameter', 'messages'],
    [{ ...base, stream: 'yes' }, 'invalid_type', 'stream'],
    [{ ...base, truncation: 'bogus' }, 'invalid_value', 'truncation'],
    [{ ...base, max_output_tokens: 0 }, 'integer_below_min_value', 'max_output_tokens'],
    [{ ...base, top_logprobs: 21 }, 'integer_above_max_value', 'top_logprobs'],
    [{ ...base, temperature: 2.5 }, 'decimal_above_max_value', 'temperature'],
    [{ ...base, tools: [{ type: 'code_interpreter' }] }, 'missing_required_parameter', 'tools[0].container'],
    [{ ...base, tools: [{ type: 'web_search' }] }, 'invalid_value', 'tools[0].type'],
    [
      { ...base, tools: [{ ...interpreter, container: 'x'.repeat(65) }] },
      'string_above_max_length',
      'tools[0].container',
    ],
    [
      { ...base, tools: [{ ...interpreter, container: { type: 'auto', memory_limit: '2g' } }] },
      'invalid_value',
      'tools[0].container.memory_limit',
    ],
    [
      { ...base, tools: [{ ...interpreter, container: { type: 'auto', file_ids: Array(51).fill('f') } }] },
      'array_above_max_length',
      'tools[0].container.file_ids',
    ],
    [{ ...base, tools: [{ type: 'function', name: 'python' }] }, 'invalid_value', 'tools[0].name'],
    [{ ...base, include: ['bogus'] }, 'invalid_value', 'include[0]'],
    [{ ...base, metadata: { a: 1 } }, 'invalid_type', 'metadata.a'],
    [
      { ...base, metadata: Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`k${index}`, 'v'])) },
      'object_above_max_properties',
      'metadata',
    ],
    [{ ...base, input: [{ type: 'bogus' }] }, 'invalid_value', 'input[0].type'],
    [
      { ...base, input: [{ role: 'user', content: [{ type: 'input_text' }] }] },
      'missing_required_parameter',
      'input[0].content[0].text',
    ],
  ])('%j', (body, code, param) => {
    expect(fault(body)).toMatchObject({ status: 400, code, param });
  });

  it('suggests the key that was meant', () => {
    expect(fault({ ...base, stroe: true }).message).toBe("Unknown parameter: 'stroe'. Did you mean 'store'?");
  });

  it('says bounds and value', () => {
    expect(fault({ ...base, max_output_tokens: 0 }).message).toBe(
      "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got 0 instead.",
    );
  });
});

describe('what is accepted', () => {
  it('takes null for every optional field', () => {
    const keys = [
      'instructions',
      'tools',
      'tool_choice',
      'parallel_tool_calls',
      'max_tool_calls',
      'max_output_tokens',
      'temperature',
      'top_p',
    ];
    const more = [
      'text',
      'reasoning',
      'stream',
      'background',
      'store',
      'previous_response_id',
      'conversation',
      'include',
      'metadata',
      'truncation',
      'user',
    ];
    const nulls = Object.fromEntries(
      [...keys, ...more, 'moderation', 'access_programs', 'prompt', 'service_tier'].map((key) => [key, null]),
    );
    expect(parseCreateResponse({ ...base, ...nulls })).toMatchObject(base);
  });

  it('takes whole floats as integers', () => {
    expect(parseCreateResponse({ ...base, max_output_tokens: 20.0 }).max_output_tokens).toBe(20);
  });

  it('takes replayed output items with what clients added to them', () => {
    const replay = [
      {
        type: 'message',
        id: 'msg_1',
        role: 'assistant',
        status: null,
        content: [{ type: 'output_text', text: 'x', annotations: [], logprobs: [], parsed: null }],
      },
      {
        type: 'code_interpreter_call',
        id: 'ci_1',
        code: null,
        container_id: 'cntr_x',
        outputs: null,
        status: 'completed',
      },
      { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}', parsed_arguments: {} },
      { type: 'function_call_output', call_id: 'c', output: 'y' },
      { id: 'rs_1' },
    ];
    expect(parseCreateResponse({ model: 'm', input: replay }).input).toHaveLength(5);
  });
});

describe('helpers', () => {
  it('format paths as the real service does', () => {
    expect(formatPath(['a', 0, 'b', 1, 'c'])).toBe('a[0].b[1].c');
  });

  it('measure edit distance', () => {
    expect([editDistance('', 'abc'), editDistance('abc', 'abc'), editDistance('stroe', 'store')]).toEqual([
      3, 0, 2,
    ]);
    expect(closest('xyz', ['store'])).toBeUndefined();
  });
});
