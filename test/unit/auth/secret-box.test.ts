import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { SecretBox } from '../../../orchestrator/src/auth/secret-box.js';
import { parseEnv } from '../../../orchestrator/src/config/env.js';

const dir = mkdtempSync(join(tmpdir(), 'secret-box-'));
afterAll(() => rmSync(dir, { recursive: true }));

const boxOf = (key: string) => new SecretBox(parseEnv({ SECRETS_KEY: key }));
const SECRET = 'whsec_a secret, ü';

describe('the secret box', () => {
  it('opens what it sealed, for the same owner and with the same key', () => {
    const sealed = boxOf('one').seal('whe_1', SECRET);
    expect(boxOf('one').open('whe_1', sealed)).toBe(SECRET);
    expect(() => boxOf('one').open('whe_2', sealed)).toThrow('another key');
    expect(() => boxOf('two').open('whe_1', sealed)).toThrow('SECRETS_KEY');
    expect(() => boxOf('one').open('whe_1', SECRET)).toThrow('unknown form');
  });

  it('seals differently each time, and does not show what is inside', () => {
    const box = boxOf('one');
    const [a, b] = [box.seal('whe_1', SECRET), box.seal('whe_1', SECRET)];
    expect(a).not.toBe(b);
    expect(Buffer.from(a.slice(3), 'base64url').includes('whsec')).toBe(false);
  });

  it.each([3, 15, 20, 30, 45])('does not open what was changed at character %i', (index) => {
    const sealed = boxOf('one').seal('whe_1', SECRET);
    const changed = `${sealed.slice(0, index)}${sealed[index] === 'A' ? 'B' : 'A'}${sealed.slice(index + 1)}`;
    expect(() => boxOf('one').open('whe_1', changed)).toThrow('another key');
  });

  it('keeps a key of its own in a file that only its owner reads', () => {
    const env = parseEnv({ DATA_DIR: dir });
    const sealed = new SecretBox(env).seal('whe_1', SECRET);
    expect(new SecretBox(env).open('whe_1', sealed)).toBe(SECRET);
    expect(statSync(join(dir, 'secrets-key')).mode & 0o777).toBe(0o600);
  });

  it('derives the same from the same name, and nothing like it from another', () => {
    expect(boxOf('one').derive('a').equals(boxOf('one').derive('a'))).toBe(true);
    expect(boxOf('one').derive('a').equals(boxOf('one').derive('b'))).toBe(false);
    expect(boxOf('one').derive('a').equals(boxOf('two').derive('a'))).toBe(false);
  });
});
