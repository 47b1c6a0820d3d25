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

export const transitions: Record<ExecutionState, readonly ExecutionState[]> = {
  queued: ['running', 'interrupted', 'failed'],
  running: ENDS,
  completed: [],
  timed_out: [],
  interrupted: [],
  out_of_memory: [],
  kernel_died: [],
  failed: [],
};

export const isTerminal = (state: ExecutionState): boolean => transitions[state].length === 0;
