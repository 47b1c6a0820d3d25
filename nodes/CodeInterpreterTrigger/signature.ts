/** Signatures of the Standard Webhooks scheme: HMAC-SHA256 over `id.timestamp.body`. */
import { createHmac, timingSafeEqual } from 'crypto';

const PREFIX = 'whsec_';
/** Older or newer deliveries are refused, so that a recorded one cannot be sent again. */
const TOLERANCE_SECONDS = 300;

export interface Delivery {
  id: string;
  timestamp: string;
  signature: string;
  body: Buffer;
}

export function sign(secret: string, { id, timestamp, body }: Omit<Delivery, 'signature'>): string {
  const key = Buffer.from(secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret, 'base64');
  const content = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
  return createHmac('sha256', key).update(content).digest('base64');
}

/** The header may hold several signatures, `v1,…` each, while a secret is being replaced. */
export function isGenuine(secret: string, delivery: Delivery, now = Date.now() / 1000): boolean {
  const seconds = Number(delivery.timestamp);
  if (!Number.isFinite(seconds) || Math.abs(now - seconds) > TOLERANCE_SECONDS) return false;
  const expected = Buffer.from(sign(secret, delivery));
  return delivery.signature
    .split(' ')
    .filter((each) => each.startsWith('v1,'))
    .map((each) => Buffer.from(each.slice(3)))
    .some((given) => given.length === expected.length && timingSafeEqual(given, expected));
}
