import { describe, expect, it } from 'vitest';
import type { Caller } from '../../../orchestrator/src/auth/caller.js';
import { parseEnv } from '../../../orchestrator/src/config/env.js';
import { RequestRates } from '../../../orchestrator/src/limits/request-rates.js';
import { RunSlots } from '../../../orchestrator/src/limits/run-slots.js';
import { formatDuration, TokenBucket } from '../../../orchestrator/src/limits/token-bucket.js';

const take = (bucket: TokenBucket, times: number, now: number) =>
  Array.from({ length: times }, () => bucket.take(now));

describe('a bucket', () => {
  it('lets a minute’s worth through at once, then one each time it has filled', () => {
    const bucket = new TokenBucket(60, 0);
    expect(take(bucket, 60, 0)).toEqual(Array.from({ length: 60 }, () => 0));
    expect(take(bucket, 2, 0)).toEqual([1000, 1000]);
    expect(bucket.take(400)).toBe(600);
    expect(take(bucket, 2, 1000)).toEqual([0, 1000]);
  });

  it('grants no more than its limit in any minute after the first burst', () => {
    const bucket = new TokenBucket(30, 0);
    take(bucket, 30, 0);
    let granted = 0;
    for (let now = 1; now <= 60_000; now += 7) if (bucket.take(now) === 0) granted += 1;
    expect(granted).toBeGreaterThanOrEqual(29);
    expect(granted).toBeLessThanOrEqual(30);
  });

  it('is never fuller than full, and a clock that goes back changes nothing', () => {
    const bucket = new TokenBucket(2, 1_000_000);
    expect(bucket.state(9_000_000)).toEqual({ limit: 2, remaining: 2, resetMs: 0 });
    take(bucket, 2, 9_000_000);
    expect(bucket.state(1)).toEqual({ limit: 2, remaining: 0, resetMs: 60_000 });
    expect(bucket.take(1)).toBe(30_000);
  });
});

describe('a duration', () => {
  it.each([
    [0, '0ms'],
    [12, '12ms'],
    [999, '999ms'],
    [1000, '1s'],
    [8640, '8.64s'],
    [360_000, '6m0s'],
    [61_500, '1m1.5s'],
    [3_661_000, '1h1m1s'],
  ])('of %i ms is %s', (ms, text) => expect(formatDuration(ms)).toBe(text));
});

const caller = (
  keyId: string,
  requestsPerMinute: number | null,
  concurrentRuns: number | null = null,
): Caller => ({
  projectId: 'proj_1',
  keyId,
  limits: { requestsPerMinute, concurrentRuns },
});

describe('the rates of keys', () => {
  const rates = new RequestRates(parseEnv({ RATE_REQUESTS_PER_MINUTE: '2' }));

  it('are each key’s own, and the project’s limit wins', () => {
    const left = (who: Caller) => rates.count(who, 0).headers['x-ratelimit-remaining-requests'];
    expect([left(caller('a', null)), left(caller('a', null)), left(caller('b', null))]).toEqual([
      '1',
      '0',
      '1',
    ]);
    expect(left(caller('c', 10))).toBe('9');
    expect(rates.count(caller('d', 0), 0)).toEqual({ headers: {}, refuse: null });
  });

  it('refuse with the time to wait, for people and for clients', () => {
    rates.count(caller('e', 2), 0);
    rates.count(caller('e', 2), 0);
    const { refuse, headers } = rates.count(caller('e', 2), 0);
    expect(refuse).toMatchObject({
      status: 429,
      code: 'rate_limit_exceeded',
      message: 'Rate limit reached for this API key: 2 requests per minute. Please try again in 30s.',
      headers: { 'retry-after': '30', 'retry-after-ms': '30000' },
    });
    expect(headers).toEqual({
      'x-ratelimit-limit-requests': '2',
      'x-ratelimit-remaining-requests': '0',
      'x-ratelimit-reset-requests': '1m0s',
    });
  });

  it('cost next to nothing', () => {
    const busy = new RequestRates(parseEnv({}));
    const who = caller('busy', 1_000_000_000);
    const started = performance.now();
    for (let turn = 0; turn < 100_000; turn++) busy.count(who);
    expect((performance.now() - started) / 100_000).toBeLessThan(0.05);
  });
});

describe('run slots', () => {
  it('are counted for each key, and given back once', () => {
    const slots = new RunSlots(parseEnv({ RATE_CONCURRENT_RUNS: '2' }));
    const freed: string[] = [];
    slots.released.on((key) => freed.push(key));
    const [first, second] = [slots.tryTake('a', null), slots.tryTake('a', null)];
    expect([slots.tryTake('a', null), slots.count('a')]).toEqual([null, 2]);
    expect(slots.tryTake('b', null)).not.toBeNull();
    first!();
    first!();
    expect([slots.count('a'), freed]).toEqual([1, ['a']]);
    second!();
    expect(slots.count('a')).toBe(0);
  });

  it('have the project’s limit, or none', () => {
    const slots = new RunSlots(parseEnv({ RATE_CONCURRENT_RUNS: '1' }));
    slots.tryTake('a', 0);
    expect(slots.tryTake('a', 0)).not.toBeNull();
    expect(slots.tryTake('a', 3)).not.toBeNull();
    expect(slots.tryTake('a', 3)).toBeNull();
    expect(() => slots.take(caller('a', null, 3))).toThrow('3 runs at the same time');
  });
});
