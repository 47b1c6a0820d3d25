/**
 * Who gives way when CPUs are short. A sandbox has credit, counted in CPU time: computing costs it, time gives
 * it back. Whoever has credit has full weight and is quick at once; whoever has used it up weighs little until
 * it has let others have their turn. Pure; `cpu-fairness.ts` measures and carries it out.
 */

/** CPU time that a sandbox may use at full weight before it gives way, in milliseconds. */
export const FULL_CREDIT_MS = 1_000;
/** CPUs' worth of credit that time gives back: less than this may be used for ever at full weight. */
const REGAINED_PER_MS = 0.25;
/** With so much credit a sandbox has its weight back: later than it lost it, or both would alternate. */
const RESTORED_AT_MS = FULL_CREDIT_MS / 2;
/** CPUs: more than a sandbox ever uses that nobody uses. */
const COMPUTES_FROM = 0.05;
/** CPUs that sandboxes leave to the server and to PostgreSQL. */
const KEPT_CPUS = 0.5;
/** However busy the host is, CPU time costs no more than this many times its worth. */
const DEAREST = 10;

export interface Share {
  /** Milliseconds of CPU time; 0 when it is used up. */
  readonly creditMs: number;
  /** It has used up its credit and not yet regained enough. */
  readonly givesWay: boolean;
}

/** Of a sandbox that is new here. */
export const FRESH_SHARE: Share = { creditMs: FULL_CREDIT_MS, givesWay: false };

/** CPUs that all sandboxes together may use on a host of so many. */
export function ceilingCpus(hostCpus: number): number {
  return Math.max(KEPT_CPUS, hostCpus - KEPT_CPUS);
}

export function computes(usedMs: number, elapsedMs: number): boolean {
  return usedMs > elapsedMs * COMPUTES_FROM;
}

/** What CPU time costs where the host has only so many CPUs for sandboxes, since others use the rest. */
export function price(availableCpus: number, hostCpus: number): number {
  return Math.min(DEAREST, Math.max(1, ceilingCpus(hostCpus) / availableCpus));
}

/** The share after `elapsedMs` in which it used `usedMs` of CPU time at this price. */
export function nextShare(share: Share, usedMs: number, elapsedMs: number, timesWorth = 1): Share {
  const balance = share.creditMs + elapsedMs * REGAINED_PER_MS - usedMs * timesWorth;
  const creditMs = Math.min(FULL_CREDIT_MS, Math.max(0, balance));
  return { creditMs, givesWay: share.givesWay ? creditMs < RESTORED_AT_MS : creditMs === 0 };
}

/**
 * CPUs for each of `count` sandboxes that give way, while others want to compute. Whoever meets what is there
 * for all of them waits, also one with credit; so those without stay below it.
 */
export function cpusWhileGivingWay(availableCpus: number, hostCpus: number, count: number): number {
  const ceiling = ceilingCpus(hostCpus);
  const most = Math.max(ceiling - KEPT_CPUS, ceiling / 2);
  return Math.max(ceiling / DEAREST, Math.min(most, availableCpus / 2)) / count;
}
