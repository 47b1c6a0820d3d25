/** Wakes followers of a response in this process; those in others look at the table now and then. */
import { Injectable } from '@nestjs/common';
import { EventEmitter, once } from 'node:events';

/** Milliseconds between two looks of a follower whom nobody wakes. */
const POLL_MS = 500;

@Injectable()
export class LiveEvents {
  private readonly emitter = new EventEmitter().setMaxListeners(0);

  /** Called after events were written. */
  wake(responseId: string): void {
    this.emitter.emit(responseId);
  }

  /** Resolves when something may be new. Take it before reading, so that nothing is missed. */
  async next(responseId: string, signal: AbortSignal): Promise<void> {
    const timeout = AbortSignal.timeout(POLL_MS);
    try {
      await once(this.emitter, responseId, { signal: AbortSignal.any([signal, timeout]) });
    } catch (error) {
      if (!timeout.aborted && !signal.aborted) throw error;
    }
  }
}
