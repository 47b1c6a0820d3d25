import { describe, expect, it } from 'vitest';
import type { InputItem } from '../../../orchestrator/src/responses/input.schema.js';
import {
  shortenLog,
  toMessages,
  unansweredCall,
} from '../../../orchestrator/src/responses/context/messages.js';

const notes = { pathOf: () => null, imageOf: () => null, summaryOf: () => 'All was well.' };
const item = (value: object) => value as InputItem;

describe('toMessages', () => {
  it('puts a text and the calls that follow it into one assistant message', () => {
    const messages = toMessages(
      [
        item({ type: 'message', role: 'user', content: 'hi' }),
        item({ type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'let me see' }] }),
        item({
          type: 'code_interpreter_call',
          id: 'ci_1',
          code: 'print(1)',
          outputs: [{ type: 'logs', logs: '1\n' }],
        }),
        item({ type: 'message', role: 'assistant', content: 'done' }),
      ],
      notes,
    );
    expect(messages.map((message) => message.role)).toEqual(['user', 'assistant', 'tool', 'assistant']);
    expect(messages[1]).toMatchObject({
      text: 'let me see',
      toolCalls: [{ callId: 'call_ci_1', name: 'python', arguments: '{"code":"print(1)"}' }],
    });
    expect(messages[2]).toMatchObject({ callId: 'call_ci_1', parts: [{ text: '1\n' }] });
  });

  it('keeps parallel function calls together, before their results', () => {
    const messages = toMessages(
      [
        item({ type: 'function_call', call_id: 'a', name: 'f', arguments: '{}' }),
        item({ type: 'function_call', call_id: 'b', name: 'g', arguments: '{}' }),
        item({ type: 'function_call_output', call_id: 'a', output: '1' }),
        item({ type: 'function_call_output', call_id: 'b', output: '2' }),
      ],
      notes,
    );
    expect(messages.map((message) => message.role)).toEqual(['assistant', 'tool', 'tool']);
    expect(messages[0]).toMatchObject({ toolCalls: [{ callId: 'a' }, { callId: 'b' }] });
  });

  it('says that a figure was shown when replayed outputs hold one', () => {
    const messages = toMessages(
      [
        item({
          type: 'code_interpreter_call',
          id: 'ci_1',
          code: 'x',
          outputs: [{ type: 'image', url: 'data:' }],
        }),
      ],
      notes,
    );
    expect(messages[1]).toMatchObject({ parts: [{ text: '[A figure was shown.]' }] });
  });

  it('tells a compaction as what the assistant wrote down', () => {
    const messages = toMessages([item({ type: 'compaction', encrypted_content: 'x' })], notes);
    expect(messages).toMatchObject([{ role: 'assistant', text: expect.stringContaining('All was well.') }]);
  });

  it('tells developer and system messages as system', () => {
    const roles = ['system', 'developer'].map(
      (role) => toMessages([item({ type: 'message', role, content: 'x' })], notes)[0]!.role,
    );
    expect(roles).toEqual(['system', 'system']);
  });
});

describe('unansweredCall', () => {
  it('names the first call without an answer', () => {
    const call = item({ type: 'function_call', call_id: 'call_1', name: 'f', arguments: '{}' });
    expect(unansweredCall([call])).toBe('call_1');
    expect(
      unansweredCall([call, item({ type: 'function_call_output', call_id: 'call_1', output: '' })]),
    ).toBeNull();
  });
});

describe('shortenLog', () => {
  it('keeps head and tail and says how much is missing', () => {
    const text = `${'a'.repeat(20_000)}${'z'.repeat(20_000)}`;
    const short = shortenLog(text);
    expect(short.length).toBeLessThan(17_000);
    expect(short.startsWith('aaa') && short.endsWith('zzz')).toBe(true);
    expect(short).toContain('24000 characters left out');
  });

  it('leaves short logs alone', () => {
    expect(shortenLog('x')).toBe('x');
  });
});
