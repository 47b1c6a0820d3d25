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
    expect(() => boxOf('one').open('whe_1', SECRET)).toThrow('another key');
  });

  it('seals differently each time, and does not show what is inside', () => {
    const box = boxOf('one');
    const [a, b] = [box.seal('whe_1', SECRET), box.seal('whe_1', SECRET)];
    expect(a).not.toBe(b);
    expect(Buffer.from(a.slice(3), 'base64url').includes('whsec')).toBe(false);
  });

  it('does not open when any byte of it was changed or cut off', () => {
    const box = boxOf('one');
    const [version, text] = box.seal('whe_1', SECRET).split('.');
    const bytes = Buffer.from(text!, 'base64url');
    const opens = (content: Buffer) => box.tryOpen('whe_1', `${version}.${content.toString('base64url')}`);
    expect(opens(bytes)).toBe(SECRET);
    for (let index = 0; index < bytes.length; index += 1) {
      const changed = Buffer.from(bytes);
      changed[index]! ^= 1;
      expect(opens(changed)).toBeNull();
      expect(opens(bytes.subarray(0, index))).toBeNull();
    }
    expect(box.tryOpen('whe_1', '')).toBeNull();
    expect(box.tryOpen('whe_1', 'v2.AAAA')).toBeNull();
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
