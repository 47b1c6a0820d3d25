import { describe, expect, it } from 'vitest';
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
