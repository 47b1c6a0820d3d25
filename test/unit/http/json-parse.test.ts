import { describe, expect, it } from 'vitest';
import { findFault, JSON_LIMITS, parseJson } from '../../../orchestrator/src/http/json-parse.js';
import { JsonThread } from '../../../orchestrator/src/http/json-thread.js';

const parse = (text: string | Buffer) => parseJson(Buffer.from(text as string));
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

describe('parseJson', () => {
  it.each([
    ['{"a":[1,2,{"b":null}]}', { a: [1, 2, { b: null }] }],
    ['\ufeff{"a":1}', { a: 1 }],
    [' 5 ', 5],
    ['"\\"[[[[,,,,\\\\"', '"[[[[,,,,\\'],
    ['{"a":"\\ud83d\\ude00","text":"__proto__"}', { a: '😀', text: '__proto__' }],
    ['', undefined],
    [' \r\n\t', undefined],
  ])('reads %j', (text, value) => {
    expect(parse(text)).toEqual({ ok: true, value });
  });

  it.each([
    '{',
    '[1,]',
    '{"a":1}}',
    ']',
    '"',
    '"\\',
    'nul',
    '{"__proto__":{"a":1}}',
    '{"a":{"\\u005f_proto__":1}}',
  ])('finds %j malformed', (text) => {
    expect(parse(text)).toEqual({ ok: false, fault: { kind: 'malformed' } });
  });

  it('takes what is not UTF-8 as replacement characters', () => {
    expect(parse(Buffer.from([0x22, 0xff, 0x22]))).toEqual({ ok: true, value: '\ufffd' });
  });

  it('counts levels, entries and values before anything is built', () => {
    const { depth, entries, values } = JSON_LIMITS;
    const list = (count: number) => `[${Array.from({ length: count }, () => '1').join()}]`;
    const kindOf = (text: string) => {
      const result = parse(text);
      return result.ok ? 'ok' : result.fault.kind;
    };
    expect([kindOf(nested(depth)), kindOf(nested(depth + 1))]).toEqual(['ok', 'depth']);
    expect([kindOf(list(entries)), kindOf(list(entries + 1))]).toEqual(['ok', 'entries']);
    const lists = (count: number) => `[${Array.from({ length: count }, () => list(1_000)).join()}]`;
    expect([kindOf(lists(values / 1_000 - 1)), kindOf(lists(values / 1_000 + 1))]).toEqual(['ok', 'values']);
    // Neighbours do not add up to levels or entries.
    expect(kindOf(`[${Array.from({ length: 9_999 }, () => '[]').join()}]`)).toBe('ok');
  });

  it('is done at once with nesting that used to end the stack', () => {
    expect(parse(`{"a":"\\ud83d\\ude00","b":${nested(1_000_000)}}`)).toMatchObject({
      fault: { kind: 'depth' },
    });
  });
});

describe('findFault', () => {
  it('names the place of text that PostgreSQL refuses', () => {
    const pathOf = (value: unknown) => findFault(value);
    expect(pathOf({ a: [{ b: 'x\0' }] })).toEqual({ kind: 'text', path: ['a', 0, 'b'] });
    expect(pathOf({ a: [1, null, 'x', '😀'] })).toBeNull();
    expect(pathOf({ a: { b: '\ud83d' } })).toEqual({ kind: 'text', path: ['a', 'b'] });
    expect(pathOf({ a: { '\udc00': 1 } })).toEqual({ kind: 'text', path: ['a'] });
  });

  it('names the first of several', () => {
    expect(findFault({ a: [{ b: '\0' }, '\0'], c: '\0' })).toMatchObject({ path: ['a', 0, 'b'] });
  });

  it('walks any depth without recursion', () => {
    let deep: unknown = '\ud83d';
    for (let level = 0; level < 200_000; level += 1) deep = [deep];
    expect(findFault(deep)).toMatchObject({ kind: 'text' });
  });
});

describe('JsonThread', () => {
  it('answers as the function does, many at a time, and ends', async () => {
    const thread = new JsonThread();
    const texts = ['{"a":1}', '{', `"${'x'.repeat(1_000_000)}"`, nested(300), '{"a":"\\u0000"}'];
    const results = await Promise.all(texts.map((text) => thread.parse(new Uint8Array(Buffer.from(text)))));
    expect(results).toEqual(texts.map((text) => parse(text)));
    await thread.close();
    expect(await thread.parse(new Uint8Array(Buffer.from('[]')))).toEqual({ ok: true, value: [] });
    await thread.close();
  });
});
