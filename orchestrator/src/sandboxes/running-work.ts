/** Port to whoever runs code; called by the orderly stop (boot.ts) before anything is taken down. */
export abstract class RunningWork {
  /**
   * New executions are refused from this call on. Those that run have `ms` (milliseconds) to end; then they
   * are interrupted. Resolves when the end of each (outputs, files, status) is written down, or some seconds
   * after `ms` at the latest, and at once when nothing runs. Never rejects.
   */
  abstract settle(ms: number): Promise<void>;
}
