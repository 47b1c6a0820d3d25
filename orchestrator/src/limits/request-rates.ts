/**
 * Requests per minute of each key, counted in this process: a look into a map for each request, and
 * nothing to clean up after a crash. Several processes behind one address each grant the whole limit.
 */
import { Inject, Injectable } from '@nestjs/common';
import type { Caller } from '../auth/caller.js';
import { ApiError } from '../common/api-error.js';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { formatDuration, TokenBucket } from './token-bucket.js';

/** Keys remembered at most; full buckets are forgotten first, which changes nothing. */
const MAX_KEYS = 10_000;

export type RateHeaders = Readonly<Record<string, string>>;

@Injectable()
export class RequestRates {
  private readonly buckets = new Map<string, TokenBucket>();

  constructor(@Inject(ENV) private readonly env: Env) {}

  /** Counts a request; `refuse` is the 429 it gets. Headers are those of the reply either way. */
  count(caller: Caller, nowMs = performance.now()): { headers: RateHeaders; refuse: ApiError | null } {
    const limit = caller.limits.requestsPerMinute ?? this.env.RATE_REQUESTS_PER_MINUTE;
    if (limit === 0) return { headers: {}, refuse: null };
    const bucket = this.bucketOf(caller.keyId, limit, nowMs);
    const waitMs = bucket.take(nowMs);
    const { remaining, resetMs } = bucket.state(nowMs);
    return {
      headers: {
        'x-ratelimit-limit-requests': String(limit),
        'x-ratelimit-remaining-requests': String(remaining),
        'x-ratelimit-reset-requests': formatDuration(resetMs),
      },
      refuse: waitMs === 0 ? null : refusal(limit, waitMs),
    };
  }

  private bucketOf(keyId: string, limit: number, nowMs: number): TokenBucket {
    const known = this.buckets.get(keyId);
    if (known?.perMinute === limit) return known;
    if (this.buckets.size >= MAX_KEYS) this.forgetFull(nowMs);
    const bucket = new TokenBucket(limit, nowMs);
    this.buckets.set(keyId, bucket);
    return bucket;
  }

  private forgetFull(nowMs: number): void {
    for (const [keyId, bucket] of this.buckets) {
      if (bucket.state(nowMs).resetMs === 0) this.buckets.delete(keyId);
    }
  }
}

const refusal = (limit: number, waitMs: number): ApiError =>
  new ApiError(
    'rate_limit_exceeded',
    `Rate limit reached for this API key: ${limit} requests per minute. Please try again in ${formatDuration(waitMs)}.`,
    { headers: { 'retry-after-ms': String(waitMs), 'retry-after': String(Math.ceil(waitMs / 1000)) } },
  );
