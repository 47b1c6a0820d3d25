import { describe, expect, it } from 'vitest';
import { findUnstorable } from '../../../orchestrator/src/http/body-parser.js';
import { parseQuery } from '../../../orchestrator/src/http/query-parser.js';

describe('parseQuery', () => {
  it.each([
    ['include[]=a&include[]=b', { include: ['a', 'b'] }],
    ['include%5B%5D=a', { include: ['a'] }],
    ['include=a', { include: 'a' }],
    ['include=a&include=b', { include: ['a', 'b'] }],
    ['after=&limit=5', { limit: '5' }],
    ['__proto__=x', { ['__proto__']: 'x' }],
    ['name=a%00b', { name: 'ab' }],
    ['', {}],
  ])('reads %s', (text, expected) => {
    expect(Object.entries(parseQuery(text))).toEqual(Object.entries(expected));
  });
});

describe('findUnstorable', () => {
  it('names where the character is', () => {
    expect(findUnstorable({ a: [{ b: 'x\0' }] })).toEqual(['a', 0, 'b']);
    expect(findUnstorable({ a: [1, null, 'x', '😀'] })).toBeNull();
    expect(findUnstorable({ a: { b: '\ud83d' } })).toEqual(['a', 'b']);
    expect(findUnstorable({ a: { '\udc00': 1 } })).toEqual(['a']);
  });
});
