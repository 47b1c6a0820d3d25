import { Injectable } from '@nestjs/common';
import { ApiError } from '../common/api-error.js';
import { TypedEvent } from '../common/typed-event.js';
import { QUEUES } from '../queues/queue-names.js';
import { QueuesLifecycle } from '../queues/queues.lifecycle.js';
import { SandboxPool } from '../sandboxes/sandbox.pool.js';

/** Seconds a refused client is asked to wait; the official clients ignore more than sixty. */
const RETRY_AFTER_SECONDS = 30;

/**
 * Whether this process takes new work. While it drains, requests that would start something are
 * refused at the door and what runs goes on to its end, including what a running response still
 * starts. Background responses that wait are left waiting: for the end of the draining, or for another
 * server. The state lives in memory: a restarted server takes work again.
 */
@Injectable()
export class DrainService {
  private startedAt: Date | null = null;
  /** Work is taken again; for what was left waiting. */
  readonly resumed = new TypedEvent<void>();

  constructor(
    private readonly pool: SandboxPool,
    private readonly queues: QueuesLifecycle,
  ) {}

  get isDraining(): boolean {
    return this.startedAt !== null;
  }

  /** When the draining began; null while work is taken. */
  get since(): Date | null {
    return this.startedAt;
  }

  /** Refuses new work from now on and ends the warm sandboxes. Repeating it changes nothing. */
  async drain(): Promise<void> {
    this.startedAt ??= new Date();
    await this.queues.pause(QUEUES.responses);
    await this.pool.drain();
  }

  /** Takes work again and lets the pool fill up. */
  async resume(): Promise<void> {
    if (this.startedAt === null) return;
    this.startedAt = null;
    this.pool.resume();
    await this.queues.resume(QUEUES.responses);
    this.resumed.emit();
  }

  /** Throws 503 `draining` while no new work is taken. */
  assertOpen(): void {
    if (!this.isDraining) return;
    throw new ApiError('draining', 'This server takes no new work at the moment. Retry later.', {
      headers: { 'retry-after': String(RETRY_AFTER_SECONDS) },
    });
  }
}
