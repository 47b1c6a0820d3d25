import { describe, expect, it } from 'vitest';
import { addField, fieldPath, type FormFields } from '../../../orchestrator/src/common/multipart-fields.js';

const build = (...pairs: [string, unknown][]): FormFields => {
  const fields: FormFields = {};
  for (const [name, value] of pairs) addField(fields, name, value);
  return fields;
};

describe('addField', () => {
  it('nests bracketed names in any order', () => {
    expect(
      build(
        ['expires_after[seconds]', '3600'],
        ['purpose', 'user_data'],
        ['expires_after[anchor]', 'created_at'],
      ),
    ).toEqual({ purpose: 'user_data', expires_after: { seconds: '3600', anchor: 'created_at' } });
  });

  it('collects lists', () => {
    expect(build(['ids[]', 'a'], ['ids[]', 'b'], ['x[y][]', 'c'])).toEqual({
      ids: ['a', 'b'],
      x: { y: ['c'] },
    });
  });

  it('takes odd names literally', () => {
    expect(build(['a]b', '1'], ['[c]', '2'])).toEqual({ 'a]b': '1', '[c]': '2' });
    expect(fieldPath('a[b')).toEqual(['a[b']);
  });

  it.each([
    [
      [
        ['purpose', 'a'],
        ['purpose', 'b'],
      ],
      'purpose',
    ],
    [
      [
        ['a', '1'],
        ['a[b]', '2'],
      ],
      'a[b]',
    ],
    [
      [
        ['a[b]', '1'],
        ['a', '2'],
      ],
      'a',
    ],
    [
      [
        ['a[]', '1'],
        ['a[b]', '2'],
      ],
      'a[b]',
    ],
    [
      [
        ['a[b]', '1'],
        ['a[]', '2'],
      ],
      'a[]',
    ],
  ] as [[string, unknown][], string][])('refuses parts at odds: %j', (pairs, param) => {
    expect(() => build(...pairs)).toThrow(expect.objectContaining({ code: 'invalid_value', param }));
  });

  it.each(['__proto__[x]', 'a[__proto__][x]', 'a[constructor]', 'a[b][c][d][e]'])('refuses %s', (name) => {
    expect(() => build([name, '1'])).toThrow(expect.objectContaining({ code: 'unknown_parameter' }));
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });
});
