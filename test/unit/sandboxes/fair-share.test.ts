import { describe, expect, it } from 'vitest';
import {
  ceilingCpus,
  cpusWhileGivingWay,
  FRESH_SHARE,
  FULL_CREDIT_MS,
  nextShare,
  price,
  type Share,
} from '../../../orchestrator/src/sandboxes/docker/fair-share.js';

/** The shares after each quarter of a second with so many CPUs in use. */
function after(share: Share, seconds: number, cpus: number, timesWorth = 1): Share {
  let next = share;
  for (let ms = 0; ms < seconds * 1_000; ms += 250) next = nextShare(next, cpus * 250, 250, timesWorth);
  return next;
}

describe('the credit of a sandbox', () => {
  it('lasts for a second and a bit of a whole CPU', () => {
    expect(after(FRESH_SHARE, 1, 1).givesWay).toBe(false);
    expect(after(FRESH_SHARE, 1.5, 1).givesWay).toBe(true);
  });

  it('lasts for ever for one that uses a fifth of a CPU', () => {
    expect(after(FRESH_SHARE, 3_600, 0.2)).toEqual(FRESH_SHARE);
  });

  it('comes back while it idles, half of it before the weight does', () => {
    const spent = after(FRESH_SHARE, 60, 2);
    expect(spent).toEqual({ creditMs: 0, givesWay: true });
    expect(after(spent, 1.75, 0).givesWay).toBe(true);
    expect(after(spent, 2, 0).givesWay).toBe(false);
    expect(after(spent, 600, 0).creditMs).toBe(FULL_CREDIT_MS);
  });

  it('is not won by pausing every other moment', () => {
    let share = FRESH_SHARE;
    for (let round = 0; round < 10; round += 1) share = after(after(share, 0.5, 2), 0.5, 0);
    expect(share.givesWay).toBe(true);
  });

  it('is used up sooner where others leave sandboxes little', () => {
    expect(price(1.5, 2)).toBe(1);
    expect(price(0.5, 2)).toBe(3);
    expect(price(0, 2)).toBe(10);
    expect(after(FRESH_SHARE, 5, 0.2, price(0.3, 2)).givesWay).toBe(true);
  });
});

describe('the CPUs of a host', () => {
  it('are not all for sandboxes', () => {
    expect(ceilingCpus(2)).toBe(1.5);
    expect(ceilingCpus(64)).toBe(63.5);
    expect(ceilingCpus(1)).toBe(0.5);
  });

  it('are shared by those that give way, with room for one that does not', () => {
    expect(cpusWhileGivingWay(1.5, 2, 1)).toBe(0.75);
    expect(cpusWhileGivingWay(1.5, 2, 3)).toBe(0.25);
    expect(cpusWhileGivingWay(63.5, 64, 1)).toBe(31.75);
  });

  it('are never none for them', () => {
    expect(cpusWhileGivingWay(0, 2, 1)).toBeCloseTo(0.15);
    expect(cpusWhileGivingWay(0, 1, 100)).toBeGreaterThan(0);
  });
});
