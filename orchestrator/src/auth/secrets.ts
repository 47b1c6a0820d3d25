/** Making, hashing and comparing keys. Keys are random, so a plain SHA-256 is a sound look-up hash. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { alphanumeric } from '../common/ids.js';

/** `sk` opens a project, `admin` the admin API, `seal` closes the {@link SecretBox}. */
export type SecretKind = 'sk' | 'admin' | 'seal';

export const newSecret = (prefix: SecretKind): string => `${prefix}-${alphanumeric(48)}`;

export const hashSecret = (secret: string): string =>
  createHash('sha256').update(secret, 'utf8').digest('hex');

export const hintOf = (secret: string): string => secret.slice(-4);

/** Compares without telling by its duration where the first difference is. */
export function sameSecret(a: string, b: string): boolean {
  return timingSafeEqual(createHash('sha256').update(a).digest(), createHash('sha256').update(b).digest());
}
