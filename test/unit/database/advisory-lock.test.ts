import { expect, it } from 'vitest';
import { lockKey } from '../../../orchestrator/src/database/advisory-lock.js';

it('lockKey is stable, fits 64 bits, and keeps its parts apart', () => {
  expect(lockKey('session', 'a', 'b')).toBe(lockKey('session', 'a', 'b'));
  expect(lockKey('session', 'a', 'b')).not.toBe(lockKey('session', 'ab'));
  expect(lockKey('session', 'a,b')).not.toBe(lockKey('session', 'a', 'b'));
  for (let n = 0; n < 200; n += 1) {
    const key = lockKey(String(n));
    expect(BigInt.asIntN(64, key)).toBe(key);
  }
});
