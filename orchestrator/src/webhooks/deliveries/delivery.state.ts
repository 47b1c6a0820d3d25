/**
 * The life of a delivery.
 *
 * ```
 *           2xx
 *  pending ─────► delivered
 *   │  ▲ │
 *   │  └─┘ anything else, until the schedule is over
 *   │
 *   └───────────► failed       schedule over, 410, or the endpoint was disabled
 *      an operator may begin the schedule anew from either end
 * ```
 */
import type { Outcome } from './delivery.types.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Pause after each try; the last one repeats. */
export const RETRY_DELAYS_MS: readonly number[] = [
  SECOND,
  5 * SECOND,
  30 * SECOND,
  2 * MINUTE,
  10 * MINUTE,
  HOUR,
  6 * HOUR,
  24 * HOUR,
];

const GONE = 410;

export type Verdict =
  | { readonly status: 'delivered' }
  | { readonly status: 'pending'; readonly delayMs: number }
  /** `gone`: the receiver wants no more of them. */
  | { readonly status: 'failed'; readonly gone: boolean };

/** `tries` counts this one. */
export function judge(outcome: Outcome, tries: number, maxTries: number): Verdict {
  if (outcome.kind === 'delivered') return { status: 'delivered' };
  if (outcome.status === GONE) return { status: 'failed', gone: true };
  if (tries >= maxTries) return { status: 'failed', gone: false };
  return { status: 'pending', delayMs: RETRY_DELAYS_MS[Math.min(tries, RETRY_DELAYS_MS.length) - 1]! };
}
