import { describe, expect, it } from 'vitest';
import { findNul } from '../../../orchestrator/src/http/body-parser.js';
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

describe('findNul', () => {
  it('names where the character is', () => {
    expect(findNul({ a: [{ b: 'x\0' }] })).toEqual(['a', 0, 'b']);
    expect(findNul({ a: [1, null, 'x'] })).toBeNull();
  });
});
