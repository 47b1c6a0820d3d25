/**
 * Makes the engine match the rows, and the rows match the clock. Every step is idempotent and
 * harmless to repeat; the job only decides when.
 */
import { Injectable, Logger } from '@nestjs/common';
import { type SandboxId, SandboxDriver } from '../sandboxes/sandbox.driver.js';
import { SandboxPool } from '../sandboxes/sandbox.pool.js';
import { ContainerRepository } from './container.repository.js';
import { SandboxBindings } from './sandbox-bindings.js';

/** A sandbox younger than this may belong to a start that is not written down yet. */
const YOUNG_MS = 120_000;

export interface SweepReport {
  readonly expiredContainers: number;
  readonly removedSandboxes: number;
}

@Injectable()
export class SweepService {
  private readonly logger = new Logger(SweepService.name);

  constructor(
    private readonly containers: ContainerRepository,
    private readonly bindings: SandboxBindings,
    private readonly pool: SandboxPool,
    private readonly driver: SandboxDriver,
  ) {}

  async sweep(youngMs = YOUNG_MS): Promise<SweepReport> {
    const expired = await this.expire();
    const removed = await this.reconcile(youngMs);
    if (expired + removed > 0) this.logger.log({ expired, removed }, 'swept');
    return { expiredContainers: expired, removedSandboxes: removed };
  }

  /** Writes down what has expired and ends its sandboxes. */
  private async expire(): Promise<number> {
    const due = await this.containers.expireDue();
    for (const row of due) await this.bindings.release(row.id, row.sandboxId);
    return due.length;
  }

  /** Removes sandboxes that neither a container nor the warm pool claims. */
  private async reconcile(youngMs: number): Promise<number> {
    const live = await this.driver.list();
    const bound = (await this.containers.bound()).filter((row) => row.status === 'running');
    // Asked after the list: what was started or taken up meanwhile is known by now.
    const claimed = new Set<string>([
      ...this.pool.ownIds(),
      ...this.bindings.boundIds(),
      ...bound.map((row) => row.sandboxId ?? ''),
    ]);
    const lost = live.filter(
      (sandbox) =>
        !claimed.has(sandbox.id) &&
        (sandbox.state === 'dead' || Date.now() - sandbox.createdAt.getTime() > youngMs),
    );
    for (const sandbox of lost) await this.remove(sandbox.id);
    return lost.length;
  }

  private async remove(id: SandboxId): Promise<void> {
    try {
      await this.driver.destroy(id);
    } catch (error) {
      this.logger.warn(
        { err: error, sandboxId: id },
        'a lost sandbox could not be removed; the next sweep tries again',
      );
    }
  }
}
