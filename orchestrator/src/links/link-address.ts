/** Addresses of links, and the tokens in them. */
import { createHash, randomBytes } from 'node:crypto';

const TOKEN_BYTES = 32;
const TOKEN = /^[A-Za-z0-9_-]{43}$/;
/** Characters of an encoded name; routers and mail programs have their limits. */
const MAX_NAME = 300;

export const newToken = (): string => randomBytes(TOKEN_BYTES).toString('base64url');

/** A token is random, so a plain SHA-256 is a sound look-up hash. Null for what no token looks like. */
export const hashToken = (token: string): string | null =>
  TOKEN.test(token) ? createHash('sha256').update(token, 'utf8').digest('hex') : null;

/** The name is for people: whatever stands there, the token decides what is opened. */
export function addressOf(base: string, token: string, fileName: string): string {
  const encoded = encodeURIComponent(fileName.toWellFormed());
  const extension = /\.[A-Za-z0-9]{1,10}$/.exec(fileName)?.[0] ?? '';
  const name = encoded.length <= MAX_NAME ? encoded : `file${extension}`;
  return `${base.replace(/\/+$/, '')}/links/${token}/${name}`;
}
