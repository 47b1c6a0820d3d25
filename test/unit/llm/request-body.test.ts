/** What is sent to an endpoint: no more than was asked for, in words that every server understands. */
import { describe, expect, it } from 'vitest';
import { toChatMessages } from '../../../orchestrator/src/llm/chat-completions/messages.js';
import { type BodySettings, toBody } from '../../../orchestrator/src/llm/chat-completions/request-body.js';
import type { LlmMessage, LlmRequest, LlmTool } from '../../../orchestrator/src/llm/llm.js';

const SETTINGS: BodySettings = { upstream: 'up', maxTokensField: 'max_tokens' };
const hello: LlmMessage = { role: 'user', parts: [{ type: 'text', text: 'hello' }] };
const tool: LlmTool = { name: 'python', description: 'd', parameters: { type: 'object' }, strict: null };

const request = (change: Partial<LlmRequest> = {}): LlmRequest => ({
  model: 'ours',
  messages: [hello],
  tools: [],
  toolChoice: { type: 'auto' },
  parallelToolCalls: true,
  ...change,
});

const body = (change: Partial<LlmRequest> = {}, settings: Partial<BodySettings> = {}) =>
  toBody(request(change), { ...SETTINGS, ...settings });

describe('the body', () => {
  it('holds nothing that was not asked for', () => {
    expect(body()).toEqual({
      model: 'up',
      messages: [{ role: 'user', content: 'hello' }],
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  it('passes on what was asked for, zeros included', () => {
    const asked = body({
      temperature: 0,
      topP: 0.5,
      maxOutputTokens: 100,
      reasoningEffort: 'low',
      verbosity: 'high',
      user: 'u1',
    });
    expect(asked).toMatchObject({
      temperature: 0,
      top_p: 0.5,
      max_tokens: 100,
      reasoning_effort: 'low',
      verbosity: 'high',
      user: 'u1',
    });
    expect(body({ maxOutputTokens: 7 }, { maxTokensField: 'max_completion_tokens' })).toMatchObject({
      max_completion_tokens: 7,
    });
  });

  it('adds defaults, and lets the request and our own fields win', () => {
    const defaults = {
      temperature: 0.2,
      top_p: 0.9,
      stream: false,
      model: 'x',
      chat_template_kwargs: { thinking: true },
    };
    expect(body({ temperature: 1 }, { defaults })).toMatchObject({
      temperature: 1,
      top_p: 0.9,
      stream: true,
      model: 'up',
      chat_template_kwargs: { thinking: true },
    });
  });

  it('words structured output as chat completions do', () => {
    const schema = { type: 'object' };
    expect(
      body({ format: { type: 'json_schema', name: 'n', schema, strict: true } })['response_format'],
    ).toEqual({
      type: 'json_schema',
      json_schema: { name: 'n', schema, strict: true, description: undefined },
    });
    expect(body({ format: { type: 'json_object' } })['response_format']).toEqual({ type: 'json_object' });
  });
});

describe('tools', () => {
  it('auto and parallel are not said; everything else is', () => {
    const auto = body({ tools: [tool] });
    expect(auto).not.toHaveProperty('tool_choice');
    expect(auto).not.toHaveProperty('parallel_tool_calls');
    expect(body({ tools: [tool], parallelToolCalls: false })).toMatchObject({ parallel_tool_calls: false });
    expect(body({ tools: [tool], toolChoice: { type: 'required' } })).toMatchObject({
      tool_choice: 'required',
    });
    expect(body({ tools: [tool], toolChoice: { type: 'tool', name: 'python' } })).toMatchObject({
      tool_choice: { type: 'function', function: { name: 'python' } },
    });
  });

  it('never mentions parallel calls without tools', () => {
    expect(body({ parallelToolCalls: false })).not.toHaveProperty('parallel_tool_calls');
  });

  it('leaves tools out when none may be called, unless the conversation has calls', () => {
    const none = { tools: [tool], toolChoice: { type: 'none' } } as const;
    expect(body(none)).not.toHaveProperty('tools');
    const called: LlmMessage = {
      role: 'assistant',
      text: '',
      toolCalls: [{ callId: 'c', name: 'python', arguments: '{}' }],
    };
    const result: LlmMessage = { role: 'tool', callId: 'c', parts: [] };
    expect(body({ ...none, messages: [hello, called, result] })).toMatchObject({ tool_choice: 'none' });
  });

  it('is strict only with schemas that can be', () => {
    const strict = (parameters: LlmTool['parameters']) =>
      JSON.stringify(body({ tools: [{ ...tool, parameters, strict: true }] })).includes('"strict":true');
    const closed = {
      type: 'object',
      properties: { a: { type: 'string' } },
      required: ['a'],
      additionalProperties: false,
    };
    expect(strict(closed)).toBe(true);
    expect(strict({ ...closed, properties: { a: closed } })).toBe(true);
    expect(strict({ ...closed, required: [] })).toBe(false);
    expect(strict({ ...closed, additionalProperties: undefined })).toBe(false);
    expect(
      strict({ ...closed, properties: { a: { type: 'array', items: { type: 'object', properties: {} } } } }),
    ).toBe(false);
  });
});

describe('messages', () => {
  const system = (text: string): LlmMessage => ({ role: 'system', parts: [{ type: 'text', text }] });
  const call = (callId: string, args = '{"code":"1"}') => ({ callId, name: 'python', arguments: args });

  it('makes one system message of those at the beginning', () => {
    expect(toChatMessages([system('a'), system('b'), hello, system('c')])).toEqual([
      { role: 'system', content: 'a\n\nb' },
      { role: 'user', content: 'hello' },
      { role: 'system', content: 'c' },
    ]);
  });

  it('sends the figures of a turn after all its results', () => {
    const messages: LlmMessage[] = [
      { role: 'assistant', text: '', toolCalls: [call('a'), call('b')] },
      {
        role: 'tool',
        callId: 'a',
        parts: [
          { type: 'image', url: 'data:image/png;base64,AA' },
          { type: 'text', text: 'shown' },
        ],
      },
      { role: 'tool', callId: 'b', parts: [], files: [{ path: '/mnt/data/x y.csv', bytes: 3 }] },
    ];
    expect(toChatMessages(messages)).toEqual([
      {
        role: 'assistant',
        content: null,
        tool_calls: ['a', 'b'].map((id) => ({
          id,
          type: 'function',
          function: { name: 'python', arguments: '{"code":"1"}' },
        })),
      },
      { role: 'tool', tool_call_id: 'a', content: 'shown' },
      { role: 'tool', tool_call_id: 'b', content: 'Files:\n- /mnt/data/x y.csv (3 bytes)' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'The figure that the tool showed:' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,AA' } },
        ],
      },
    ]);
  });

  it('sends images of the user in place', () => {
    const parts = [
      { type: 'text', text: 'see' },
      { type: 'image', url: 'data:image/png;base64,AA', detail: 'original' },
    ] as const;
    expect(toChatMessages([{ role: 'user', parts }])[0]!.content).toEqual([
      { type: 'text', text: 'see' },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,AA', detail: 'high' } },
    ]);
  });

  it.each([
    ['', '{}'],
    ['{"a":1}', '{"a":1}'],
    ['print(1)', '{"input":"print(1)"}'],
    ['[1]', '{"input":"[1]"}'],
  ])('replays the arguments %j as an object', (given, sent) => {
    const [message] = toChatMessages([{ role: 'assistant', text: 't', toolCalls: [call('a', given)] }]);
    expect(message!.tool_calls![0]!.function.arguments).toBe(sent);
  });

  it('gives reasoning back only where it is wanted', () => {
    const message: LlmMessage = { role: 'assistant', text: 't', reasoning: 'r', toolCalls: [] };
    expect(toChatMessages([message])).toEqual([{ role: 'assistant', content: 't' }]);
    expect(toChatMessages([message], 'reasoning')).toEqual([
      { role: 'assistant', content: 't', reasoning: 'r' },
    ]);
  });
});
