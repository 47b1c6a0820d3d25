/**
 * Keeps secrets that the server must be able to read again, unlike keys, which are only compared: those of
 * webhooks, in the database, and what compaction items stand for, with the client.
 */
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

  /** `owner`, such as the row's id, is part of the seal: a secret that is moved elsewhere does not open. */
  seal(owner: string, secret: string): string {
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv(CIPHER, this.key, iv).setAAD(Buffer.from(owner));
    const content = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()]);
    return `${VERSION}.${Buffer.concat([iv, cipher.getAuthTag(), content]).toString('base64url')}`;
  }

  /** For what the database holds: throws when it was sealed with another key or for another owner. */
  open(owner: string, sealed: string): string {
    const secret = this.tryOpen(owner, sealed);
    if (secret !== null) return secret;
    throw new Error(
      'a secret in the database was encrypted with another key than SECRETS_KEY or DATA_DIR/secrets-key, or was changed',
    );
  }

  /** For what a client sends back: null when it was not sealed here for this owner. */
  tryOpen(owner: string, sealed: string): string | null {
    const [version, text = ''] = sealed.split('.');
    if (version !== VERSION) return null;
    const bytes = Buffer.from(text, 'base64url');
    if (bytes.length < IV_BYTES + TAG_BYTES) return null;
    const iv = bytes.subarray(0, IV_BYTES);
    const decipher = createDecipheriv(CIPHER, this.key, iv, { authTagLength: TAG_BYTES })
      .setAAD(Buffer.from(owner))
      .setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
    try {
      const content = decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES));
      return Buffer.concat([content, decipher.final()]).toString('utf8');
    } catch {
      // The tag does not match: another key, another owner, or other bytes.
      return null;
    }
  }

  /** A secret that follows from the key and a name, so that it needs no row. */
  derive(name: string): Buffer {
    return Buffer.from(hkdfSync('sha256', this.master, 'code-interpreter', name, KEY_BYTES));
  }
}
