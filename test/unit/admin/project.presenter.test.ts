import { describe, expect, it } from 'vitest';
import { shortSize } from '../../../orchestrator/src/admin/project.presenter.js';
import { parseBytes } from '../../../orchestrator/src/config/env.schema.js';

describe('shortSize', () => {
  it.each([
    [64 * 1024 ** 3, '64g'],
    [1536 * 1024 ** 2, '1536m'],
    [3 * 1024, '3k'],
    [1000, '1000'],
    [0, '0'],
  ])('writes %d bytes as %s, which reads back as the same', (bytes, text) => {
    expect(shortSize(bytes)).toBe(text);
    expect(parseBytes(text)).toBe(bytes);
  });
});
