import { describe, expect, it } from 'vitest';
import { defineStates } from '../../../orchestrator/src/common/state-table.js';

type Light = 'red' | 'green' | 'broken' | 'sold';

const light = defineStates<Light>({
  red: ['green', 'broken'],
  green: ['red', 'broken'],
  broken: [],
  sold: [],
});

describe('a table of states', () => {
  it('says what may follow what', () => {
    expect(light.canGo('red', 'green')).toBe(true);
    expect(light.canGo('broken', 'red')).toBe(false);
  });

  it('gives a write the states it may start from', () => {
    expect(light.sourcesOf('broken')).toEqual(['red', 'green']);
    expect(light.sourcesOf('red')).toEqual(['green']);
  });

  it('refuses a write that no state leads to', () => {
    expect(() => light.sourcesOf('sold')).toThrow("nothing leads to the state 'sold'");
  });

  it('knows the ends and the rest', () => {
    expect(light.isTerminal('broken')).toBe(true);
    expect(light.isTerminal('green')).toBe(false);
    expect(light.open()).toEqual(['red', 'green']);
  });

  it('hands out lists that nobody else holds', () => {
    light.open().pop();
    light.sourcesOf('broken').pop();
    expect(light.open()).toHaveLength(2);
    expect(light.sourcesOf('broken')).toHaveLength(2);
  });
});
