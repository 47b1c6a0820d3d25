/**
 * The life of a Response.
 *
 * ```
 *              ┌──┐ taken up by the next server
 *  queued ──► in_progress ──► completed
 *    │             ├────────► incomplete   token limit, content filter
 *    │             ├────────► failed       model or sandbox could not go on
 *    └─────────────┴────────► cancelled    by the caller, or the caller went away
 * ```
 */
import { defineStates } from '../../common/state-table.js';
import type { ResponseStatus } from '../response.types.js';

export const { transitions, canGo, sourcesOf, isTerminal, open } = defineStates<ResponseStatus>({
  queued: ['in_progress', 'failed', 'cancelled'],
  in_progress: ['in_progress', 'completed', 'incomplete', 'failed', 'cancelled'],
  completed: [],
  incomplete: [],
  failed: [],
  cancelled: [],
});

export const isRunning = (status: ResponseStatus): boolean => !isTerminal(status);
