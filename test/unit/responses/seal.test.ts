import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { seal, unseal } from '../../../orchestrator/src/responses/compaction/seal.js';

const key = randomBytes(32);
const TEXT = 'What was said: é 😀.';

describe('a sealed text', () => {
  it('comes back, and looks different every time', () => {
    const sealed = seal(key, 'proj_1', TEXT);
    expect(unseal(key, 'proj_1', sealed)).toBe(TEXT);
    expect(seal(key, 'proj_1', TEXT)).not.toBe(sealed);
    expect(sealed).toMatch(/^[A-Za-z0-9_-]+$/);
  });

  it('opens for its own project and installation only', () => {
    const sealed = seal(key, 'proj_1', TEXT);
    expect(unseal(key, 'proj_2', sealed)).toBeNull();
    expect(unseal(randomBytes(32), 'proj_1', sealed)).toBeNull();
  });

  it('does not open when any byte of it was changed or cut off', () => {
    const bytes = Buffer.from(seal(key, 'proj_1', TEXT), 'base64url');
    for (let index = 0; index < bytes.length; index += 1) {
      const changed = Buffer.from(bytes);
      changed[index]! ^= 1;
      expect(unseal(key, 'proj_1', changed.toString('base64url'))).toBeNull();
      expect(unseal(key, 'proj_1', bytes.subarray(0, index).toString('base64url'))).toBeNull();
    }
  });
});
