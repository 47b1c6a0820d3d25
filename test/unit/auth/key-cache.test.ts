import { describe, expect, it } from 'vitest';
import type { ActiveKey } from '../../../orchestrator/src/auth/api-key.repository.js';
import { KeyCache } from '../../../orchestrator/src/auth/key-cache.js';

const GOOD: ActiveKey = {
  id: 'key_1',
  projectId: 'proj_1',
  suspended: false,
  limits: { requestsPerMinute: null, concurrentRuns: null },
};

/** A database that knows one key and counts how often it is asked. */
function database() {
  const asked: (readonly string[])[] = [];
  const keys = new Map([['good', GOOD]]);
  const cache = new KeyCache(async (hashes) => {
    asked.push(hashes);
    await new Promise((resolve) => setTimeout(resolve, 2));
    return new Map([...keys].filter(([hash]) => hashes.includes(hash)));
  });
  return { asked, keys, cache };
}

describe('KeyCache', () => {
  it('asks once for a key that many bring, good or unknown', async () => {
    const { asked, cache } = database();
    expect(await Promise.all([cache.find('good'), cache.find('good')])).toEqual([GOOD, GOOD]);
    expect(await cache.find('good')).toBe(GOOD);
    expect([await cache.find('bad'), await cache.find('bad')]).toEqual([null, null]);
    expect(asked).toEqual([['good'], ['bad']]);
  });

  it('answers a flood of unknown keys with few queries, and keeps the good one', async () => {
    const { asked, cache } = database();
    await cache.find('good');
    const answers = await Promise.all(
      Array.from({ length: 20_000 }, (_, index) => cache.find(`bad-${index}`)),
    );
    expect(answers.every((answer) => answer === null)).toBe(true);
    expect(asked.length).toBeLessThanOrEqual(1 + 1 + 20_000 / 500);
    const before = asked.length;
    expect(await cache.find('good')).toBe(GOOD);
    expect(asked.length).toBe(before);
  });

  it('does not keep what was true before a change', async () => {
    const { keys, cache } = database();
    const early = cache.find('good');
    keys.delete('good');
    cache.forget();
    await early;
    expect(await cache.find('good')).toBeNull();
  });

  it('passes a failure on to all who asked, and asks again', async () => {
    let fail = true;
    const cache = new KeyCache(() => (fail ? Promise.reject(new Error('away')) : Promise.resolve(new Map())));
    await expect(Promise.all([cache.find('a'), cache.find('b')])).rejects.toThrow('away');
    fail = false;
    expect(await cache.find('a')).toBeNull();
  });
});
