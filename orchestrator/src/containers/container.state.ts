import { defineStates } from '../common/state-table.js';

/**
 * The life of a Container (the API object, not the sandbox that serves it).
 *
 * ```
 *             idle for expires_after            30 days (tombstone)
 *  running ───────────────────────► expired ───────────────────────► row removed
 *     │                                │                                 ▲
 *     │ DELETE                         │ DELETE                          │ retention
 *     └───────────────► deleted ◄──────┘ ────────────────────────────────┘
 * ```
 *
 * `expired` is computed on read from `lastActiveAt`; the sweep only writes down what is already
 * true (docs/contract/containers.md). While code runs, a heartbeat keeps `lastActiveAt` fresh, so a running
 * execution never expires its container and a crashed server never leaves one that cannot expire.
 */
export type ContainerState = 'running' | 'expired' | 'deleted';

export const containerStates = defineStates<ContainerState>({
  running: ['expired', 'deleted'],
  expired: ['deleted'],
  deleted: [],
});

export interface Lifetime {
  readonly status: ContainerState;
  readonly lastActiveAt: Date;
  readonly idleMinutes: number;
}

/** Milliseconds since the epoch at which it expires if nothing happens. */
export const expiresAtMs = (container: Lifetime): number =>
  container.lastActiveAt.getTime() + container.idleMinutes * 60_000;

/** What it is at `now`, whatever the row still says. */
export function stateAt(container: Lifetime, now: Date): ContainerState {
  if (container.status !== 'running') return container.status;
  return now.getTime() >= expiresAtMs(container) ? 'expired' : 'running';
}

export const isUsable = (container: Lifetime, now: Date): boolean => stateAt(container, now) === 'running';
