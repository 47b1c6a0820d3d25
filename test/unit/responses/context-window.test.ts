import { describe, expect, it } from 'vitest';
import type { LlmMessage } from '../../../orchestrator/src/llm/llm.js';
import { countMessage, countText, mostTokens } from '../../../orchestrator/src/llm/token-counter.js';
import {
  checkFits,
  halve,
  outputReserve,
  truncate,
} from '../../../orchestrator/src/responses/context/context-window.js';

const words = (count: number): string => 'word '.repeat(count);
const text = (role: 'system' | 'user', content: string): LlmMessage => ({
  role,
  parts: [{ type: 'text', text: content }],
});
const call = (...ids: string[]): LlmMessage => ({
  role: 'assistant',
  text: '',
  toolCalls: ids.map((callId) => ({ callId, name: 'f', arguments: '{}' })),
});
const result = (callId: string, content: string): LlmMessage => ({
  role: 'tool',
  callId,
  parts: [{ type: 'text', text: content }],
});
const window = (contextTokens: number | null) => ({ model: 'm', contextTokens, outputTokens: 10, tools: [] });
const rolesOf = (messages: readonly LlmMessage[]) => messages.map(({ role }) => role);

const LOOP = [
  text('system', 'ours'),
  text('user', words(50)),
  call('a', 'b'),
  result('a', words(100)),
  result('b', words(100)),
  call('c'),
  result('c', words(100)),
];

describe('truncate', () => {
  it('leaves everything when it fits or nothing is known', async () => {
    expect(await truncate(LOOP, window(null), true)).toEqual(LOOP);
    expect(await truncate(LOOP, window(100_000), true)).toEqual(LOOP);
  });

  it('keeps the system text, the question, and the newest calls with all their results', async () => {
    expect(rolesOf(await truncate(LOOP, window(300), true))).toEqual(['system', 'user', 'assistant', 'tool']);
  });

  it('lets a system message of the caller go like any other', async () => {
    const asked = [text('system', words(300)), text('user', 'x')];
    expect(rolesOf(await truncate(asked, window(200), false))).toEqual(['user']);
    await expect(truncate(asked, window(200), true)).rejects.toMatchObject({
      code: 'context_length_exceeded',
    });
  });

  it('never sends a result without its call', async () => {
    for (let tokens = 150; tokens < 500; tokens += 10) {
      const left = await truncate(LOOP, window(tokens), true).catch(() => []);
      const called = left.flatMap((each) => (each.role === 'assistant' ? each.toolCalls : []));
      const answered = left.flatMap((each) => (each.role === 'tool' ? [each.callId] : []));
      expect(called.map(({ callId }) => callId)).toEqual(answered);
    }
  });
});

describe('halve', () => {
  it('ends when only what must stay is left', () => {
    const once = halve(LOOP, true)!;
    expect(rolesOf(once)).toEqual(['system', 'user', 'assistant', 'tool']);
    expect(halve(once, true)).toBeNull();
  });
});

it('an input that is too large is refused, and one that just fits is not', async () => {
  const messages = [text('user', words(100))];
  const tokens = await countMessage(messages[0]!);
  await expect(checkFits(messages, window(tokens - 1))).rejects.toMatchObject({
    param: 'input',
    status: 400,
  });
  await checkFits(messages, window(tokens));
});

it('room for the answer is what was asked for, or a share', () => {
  expect([
    outputReserve(8_000, 500),
    outputReserve(8_000, undefined),
    outputReserve(null, undefined),
  ]).toEqual([500, 1_000, 0]);
});

describe('counting', () => {
  it('is exact for what the vocabulary knows', async () => {
    expect(await countText('')).toBe(0);
    expect(await countText('hello world')).toBe(2);
    expect(await countText('<|endoftext|>')).toBeGreaterThan(1);
  });

  it('takes no longer for text without spaces', async () => {
    const begin = performance.now();
    expect(await countText('a'.repeat(300_000))).toBeGreaterThan(30_000);
    expect(await countText('数据分析'.repeat(25_000))).toBeGreaterThan(40_000);
    // Uncut these would take minutes.
    expect(performance.now() - begin).toBeLessThan(20_000);
  });

  it('is never above the bound that is found without it', async () => {
    for (const content of ['', 'word', '😀é数', ' '.repeat(1_000), '\u0000\ud800']) {
      const message = text('user', content);
      expect(await countMessage(message)).toBeLessThanOrEqual(mostTokens([message], []));
    }
  });
});
