/**
 * Port to whoever gives sandboxes to containers: the pool asks it for memory that nobody uses just now.
 * The feature that does so provides it under this name (`containers/containers.module.ts`).
 */
export abstract class Reclaimer {
  /**
   * Gives up the sandbox that has been idle longest, if that is at least `minIdleMs` (milliseconds);
   * resolves when its memory is free. False when none is idle that long. What the container needs to go on
   * must be safe before. One that could not be ended counts as not given up. Never rejects.
   */
  abstract giveUpIdlest(minIdleMs: number): Promise<boolean>;
}
