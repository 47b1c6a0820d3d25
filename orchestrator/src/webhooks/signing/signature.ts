/** Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`, as `unwrap()` of the official clients checks it. */
import { createHmac, randomBytes } from 'node:crypto';

const PREFIX = 'whsec_';
const SECRET_BYTES = 32;

export interface SignedHeaders {
  readonly 'webhook-id': string;
  readonly 'webhook-timestamp': string;
  readonly 'webhook-signature': string;
}

export const secretOf = (bytes: Buffer): string => `${PREFIX}${bytes.toString('base64')}`;

export const newSigningSecret = (): string => secretOf(randomBytes(SECRET_BYTES));

/** So that a person can tell two secrets apart. */
export const secretHintOf = (secret: string): string => `${PREFIX}…${secret.slice(-4)}`;

function sign(secret: string, id: string, seconds: number, body: string): string {
  const key = Buffer.from(secret.slice(PREFIX.length), 'base64');
  return createHmac('sha256', key).update(`${id}.${seconds}.${body}`).digest('base64');
}

/** One signature for each secret: while one is replaced, receivers know either. */
export function signedHeaders(secrets: readonly string[], id: string, at: Date, body: string): SignedHeaders {
  const seconds = Math.floor(at.getTime() / 1000);
  return {
    'webhook-id': id,
    'webhook-timestamp': String(seconds),
    'webhook-signature': secrets.map((secret) => `v1,${sign(secret, id, seconds, body)}`).join(' '),
  };
}
