/** What a request's body says, as one short text; only for requests that carry an `Idempotency-Key`. */
import { createHash, type Hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FastifyRequest } from 'fastify';

export const KEY_HEADER = 'idempotency-key';

const digests = new WeakMap<IncomingMessage, string>();

/** For whoever reads the body: to be fed while it comes in, so that nobody waits for it at the end. */
export const bodyHash = ({ headers }: FastifyRequest): Hash | undefined =>
  headers[KEY_HEADER] === undefined ? undefined : createHash('sha256');

/** Called when the whole body was read. */
export function setBodyDigest({ raw }: FastifyRequest, hash: Hash | undefined): void {
  if (hash) digests.set(raw, hash.digest('hex'));
}

/** Undefined for a request without a body, and for one whose body was not read yet. */
export const bodyDigest = ({ raw }: FastifyRequest): string | undefined => digests.get(raw);
