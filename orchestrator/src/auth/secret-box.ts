/** Keeps secrets that the server must be able to read again, unlike keys, which are only compared. */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { keepKey } from './key-files.js';

const VERSION = 'v1';
const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;

@Injectable()
export class SecretBox {
  private readonly master: string;
  private readonly key: Buffer;

  constructor(@Inject(ENV) env: Env) {
    this.master = env.SECRETS_KEY ?? keepKey(env.DATA_DIR, 'secrets-key', 'seal');
    this.key = this.derive('seal');
  }

  /** `owner` is the row's id: a sealed secret that is moved to another row does not open. */
  seal(owner: string, secret: string): string {
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv(CIPHER, this.key, iv).setAAD(Buffer.from(owner));
    const content = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
    return `${VERSION}.${Buffer.concat([iv, cipher.getAuthTag(), content]).toString('base64url')}`;
  }

  /** Throws when it was sealed with another key or for another owner. */
  open(owner: string, sealed: string): string {
    const [version, text = ''] = sealed.split('.');
    if (version !== VERSION) throw new Error('a secret in the database has an unknown form');
    const bytes = Buffer.from(text, 'base64url');
    const iv = bytes.subarray(0, IV_BYTES);
    const decipher = createDecipheriv(CIPHER, this.key, iv, { authTagLength: TAG_BYTES })
      .setAAD(Buffer.from(owner))
      .setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
    try {
      const content = decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES));
      return Buffer.concat([content, decipher.final()]).toString('utf8');
    } catch (error) {
      throw new Error(
        'a secret in the database was encrypted with another key than SECRETS_KEY or DATA_DIR/secrets-key',
        { cause: error },
      );
    }
  }

  /** A secret that follows from the key and a name, so that it needs no row. */
  derive(name: string): Buffer {
    return Buffer.from(hkdfSync('sha256', this.master, 'code-interpreter', name, KEY_BYTES));
  }
}
