/** A limit per minute that lets bursts through: a bucket that holds a minute's worth and fills up evenly. Pure. */

const MINUTE_MS = 60_000;

export interface BucketState {
  readonly limit: number;
  readonly remaining: number;
  /** Milliseconds until it is full. */
  readonly resetMs: number;
}

export class TokenBucket {
  private tokens: number;

  constructor(
    readonly perMinute: number,
    private atMs: number,
  ) {
    this.tokens = perMinute;
  }

  /** Milliseconds until there is one to take; 0 when one was taken now. */
  take(nowMs: number): number {
    this.fill(nowMs);
    if (this.tokens >= 1) {
      this.tokens -= 1;
      return 0;
    }
    return Math.max(1, Math.ceil((1 - this.tokens) * this.msPerToken));
  }

  state(nowMs: number): BucketState {
    this.fill(nowMs);
    return {
      limit: this.perMinute,
      remaining: Math.floor(this.tokens),
      resetMs: Math.ceil((this.perMinute - this.tokens) * this.msPerToken),
    };
  }

  private get msPerToken(): number {
    return MINUTE_MS / this.perMinute;
  }

  /** A clock that goes backwards fills nothing. */
  private fill(nowMs: number): void {
    const passed = Math.max(0, nowMs - this.atMs);
    this.tokens = Math.min(this.perMinute, this.tokens + passed / this.msPerToken);
    this.atMs = nowMs;
  }
}

/** 12 → `12ms`, 1500 → `1.5s`, 360000 → `6m0s`: as OpenAI writes it in x-ratelimit-reset-*. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor(ms / 60_000) % 60;
  const seconds = `${Number(((ms % 60_000) / 1000).toFixed(3))}s`;
  if (hours > 0) return `${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${minutes}m${seconds}` : seconds;
}
