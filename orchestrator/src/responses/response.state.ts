/**
 * The life of a Response.
 *
 * ```
 *  queued ──► in_progress ──► completed
 *    │             ├────────► incomplete   token limit, content filter
 *    │             ├────────► failed       model or sandbox could not go on
 *    └─────────────┴────────► cancelled    by the caller, or the caller went away
 * ```
 */
import type { ResponseStatus } from './response.types.js';

export const transitions: Record<ResponseStatus, readonly ResponseStatus[]> = {
  queued: ['in_progress', 'failed', 'cancelled'],
  in_progress: ['completed', 'incomplete', 'failed', 'cancelled'],
  completed: [],
  incomplete: [],
  failed: [],
  cancelled: [],
};

export const isTerminal = (status: ResponseStatus): boolean => transitions[status].length === 0;
export const isRunning = (status: ResponseStatus): boolean => !isTerminal(status);
export const canGo = (from: ResponseStatus, to: ResponseStatus): boolean => transitions[from].includes(to);
