import { describe, expect, it } from 'vitest';
import { growth, median, slope } from '../../soak/trend.js';

describe('trends of readings', () => {
  it.each([
    ['nothing', [], 0],
    ['one', [5], 0],
    ['flat', [5, 5, 5, 5], 0],
    ['steady', [1, 3, 5, 7, 9], 2],
    ['falling', [9, 6, 3], -3],
    ['a peak in the middle', [5, 5, 500, 5, 5], 0],
    ['a peak at the end', [5, 5, 5, 5, 500], 0],
  ])('slope of %s', (_, readings, wanted) => {
    expect(slope(readings)).toBe(wanted);
  });

  it.each([
    [[], 0],
    [[3], 3],
    [[9, 1, 5], 5],
    [[4, 1, 3, 2], 2.5],
  ])('median of %j is %d', (numbers, wanted) => {
    expect(median(numbers)).toBe(wanted);
  });

  it('does not count what grows while caches fill', () => {
    expect(growth([0, 100, 200, 300, 300, 300, 300, 300])).toBe(0);
  });

  it('finds a leak below noise', () => {
    const noise = [3, -2, 0, 4, -4, 1, -1, 2, -3, 0];
    const leaking = Array.from({ length: 40 }, (_, at) => 1_000 + at * 5 + noise[at % noise.length]! * 4);
    expect(growth(leaking)).toBeGreaterThan(80);
    const level = Array.from({ length: 40 }, (_, at) => 1_000 + noise[at % noise.length]! * 4);
    expect(Math.abs(growth(level))).toBeLessThan(10);
  });
});
