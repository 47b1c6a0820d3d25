/**
 * Makes the engine match the rows, and the rows match the clock. Every step is idempotent and
 * harmless to repeat, and one that fails does not keep the others from being done; the job only decides when.
 */
import { Injectable, Logger } from '@nestjs/common';
import { type SandboxId, SandboxDriver } from '../sandboxes/sandbox.driver.js';
import { SandboxPool } from '../sandboxes/sandbox.pool.js';
import { Semaphore } from '../common/mutex.js';
import { ContainerRepository } from './container.repository.js';
import { ExecutionService } from './execution.service.js';
import { SandboxBindings } from './sandbox-bindings.js';

/** A sandbox younger than this may belong to a start that is not written down yet. */
const YOUNG_MS = 120_000;
/** Sandboxes ended at the same time; each may take seconds. */
const PARALLEL = 4;

export interface SweepReport {
  readonly expiredContainers: number;
  readonly removedSandboxes: number;
}

@Injectable()
export class SweepService {
  private readonly logger = new Logger(SweepService.name);

  constructor(
    private readonly containers: ContainerRepository,
    private readonly executions: ExecutionService,
    private readonly bindings: SandboxBindings,
    private readonly pool: SandboxPool,
    private readonly driver: SandboxDriver,
  ) {}

  async sweep(youngMs = YOUNG_MS): Promise<SweepReport> {
    const lost = await this.executions.sweep();
    if (lost > 0) this.logger.warn({ lost }, 'executions that nothing runs were closed');
    await this.bindings.settleDirty();
    const expired = await this.expire();
    const removed = (await this.releaseEnded()) + (await this.reconcile(youngMs));
    if (expired + removed > 0) this.logger.log({ expired, removed }, 'swept');
    return { expiredContainers: expired, removedSandboxes: removed };
  }

  /** Writes down what has expired; its sandboxes go with those of all that have ended. */
  private async expire(): Promise<number> {
    return (await this.containers.expireDue(this.bindings.busyIds())).length;
  }

  /**
   * Ends the sandboxes of containers that run no longer: those that a row still names, and those that are
   * bound here although their row has ended, is gone, or names another one.
   */
  private async releaseEnded(): Promise<number> {
    const ended = new Map<string, string | null>();
    for (const row of await this.containers.bound())
      if (row.status !== 'running') ended.set(row.id, row.sandboxId);
    const bound = this.bindings.bound();
    const running = await this.containers.runningAmong([...bound.keys()]);
    for (const [id, sandboxId] of bound) if (running.get(id) !== sandboxId) ended.set(id, sandboxId);
    const results = await this.each([...ended], ([id, sandboxId]) => this.bindings.retire(id, sandboxId));
    return results.filter((isGone) => isGone === true).length;
  }

  /** Removes sandboxes that neither a container nor the warm pool claims, and claims on sandboxes that are gone. */
  private async reconcile(youngMs: number): Promise<number> {
    const live = await this.driver.list();
    const rows = await this.containers.bound();
    // Asked after the list: what was started or taken up meanwhile is known by now.
    const mine = new Set<string>([...this.pool.ownIds(), ...this.bindings.bound().values()]);
    const served = rows.filter((row) => row.status === 'running').map((row) => row.sandboxId ?? '');
    const claimed = new Set<string>([...mine, ...served]);
    const lost = live.filter(
      (sandbox) =>
        !claimed.has(sandbox.id) &&
        (sandbox.state === 'dead' || Date.now() - sandbox.createdAt.getTime() > youngMs),
    );
    const there = new Set<string>(live.map((sandbox) => sandbox.id));
    await this.each(lost, async ({ id }) => {
      await this.driver.destroy(id);
      there.delete(id);
    });
    const stale = rows.filter(({ sandboxId }) => !there.has(sandboxId!) && !mine.has(sandboxId!));
    await this.each(stale, (row) => this.containers.unbind(row.id, row.sandboxId as SandboxId));
    return lost.length;
  }

  /** Does it for each, a few at a time; a failure is logged, and the next sweep tries again. */
  private async each<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<(R | undefined)[]> {
    const gate = new Semaphore(PARALLEL);
    return Promise.all(
      items.map((item) =>
        gate.run(async () => {
          try {
            return await work(item);
          } catch (error) {
            this.logger.warn({ err: error }, 'a step of the sweep failed; the next sweep tries again');
            return undefined;
          }
        }),
      ),
    );
  }
}
