import { defineStates } from '../common/state-table.js';

/**
 * The life of an Execution: one piece of code run on a container's kernel.
 *
 * ```
 *  queued ──► running ──► completed          Python ended, also with an exception: that is data
 *     │          ├──────► timed_out          wall time over
 *     │          ├──────► interrupted        cancelled, client gone, or container deleted
 *     │          ├──────► out_of_memory      more than the container's memory size
 *     │          ├──────► kernel_died        os._exit, segmentation fault, kill
 *     └──────────┴──────► failed             the sandbox could not run it, or the server stopped
 * ```
 */
export type ExecutionState =
  | 'queued'
  | 'running'
  | 'completed'
  | 'timed_out'
  | 'interrupted'
  | 'out_of_memory'
  | 'kernel_died'
  | 'failed';

const ENDS = ['completed', 'timed_out', 'interrupted', 'out_of_memory', 'kernel_died', 'failed'] as const;

/**
 * An end may be written over `queued` as well: that code began is written without waiting for it, and may be
 * lost when the database is away.
 */
export const executionStates = defineStates<ExecutionState>({
  queued: ['running', ...ENDS],
  running: ENDS,
  completed: [],
  timed_out: [],
  interrupted: [],
  out_of_memory: [],
  kernel_died: [],
  failed: [],
});
