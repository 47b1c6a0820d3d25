/**
 * The life of an Upload.
 *
 * ```
 *            complete
 *  pending ───────────► completed
 *     │ cancel
 *     ├───────────────► cancelled
 *     │ one hour
 *     └───────────────► expired
 * ```
 *
 * `expired` is computed on read from `expiresAt`; the sweep only writes down what is already true.
 * Every step is a compare-and-set on the row, so of two that race one wins and the other is told.
 */
import { defineStates } from '../common/state-table.js';

export type UploadState = 'pending' | 'completed' | 'cancelled' | 'expired';

export const { transitions, sourcesOf, isTerminal } = defineStates<UploadState>({
  pending: ['completed', 'cancelled', 'expired'],
  completed: [],
  cancelled: [],
  expired: [],
});

/** What it is at `now`, whatever the row still says. */
export function stateAt(upload: { status: UploadState; expiresAt: Date }, now: Date): UploadState {
  return upload.status === 'pending' && now >= upload.expiresAt ? 'expired' : upload.status;
}

export const isOpen = (state: UploadState): boolean => !isTerminal(state);
