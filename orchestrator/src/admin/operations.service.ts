/** What an operator does to the server as a whole. */
import { Inject, Injectable } from '@nestjs/common';
import { type Page, toPage } from '../common/pagination.js';
import { toUnix, toUnixOrNull } from '../common/time.js';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { SweepService } from '../containers/sweep.service.js';
import { DrainService } from '../drain/drain.service.js';
import { JobScheduler } from '../queues/job-scheduler.js';
import { RetentionService } from '../retention/retention.service.js';
import { SandboxDriver } from '../sandboxes/sandbox.driver.js';
import { SandboxPool } from '../sandboxes/sandbox.pool.js';
import { ContainerInventory, ExecutionInventory } from '../containers/inventory.lookup.js';
import type { DrainObject, PoolObject, QueueObject, SweepObject } from './operations.schema.js';

@Injectable()
export class OperationsService {
  private sweeping: Promise<SweepObject> | undefined;

  constructor(
    private readonly pool: SandboxPool,
    private readonly driver: SandboxDriver,
    private readonly containers: ContainerInventory,
    private readonly executions: ExecutionInventory,
    private readonly sweeper: SweepService,
    private readonly retention: RetentionService,
    private readonly draining: DrainService,
    private readonly jobs: JobScheduler,
    @Inject(ENV) private readonly env: Env,
  ) {}

  async poolState(): Promise<PoolObject> {
    const [memory, bound] = await Promise.all([this.driver.memory(), this.containers.countBound()]);
    return {
      object: 'pool',
      sizes: this.pool
        .state()
        .map(({ size, target, warm, starting }) => ({ memory_limit: size, target, warm, starting })),
      bound_sandboxes: bound,
      sandbox_memory_bytes: memory.usedBytes,
      host_free_memory_bytes: memory.hostFreeBytes,
      memory_floor_bytes: this.env.MEMORY_FLOOR_BYTES,
      draining: this.draining.isDraining,
    };
  }

  /** Does now what the jobs do by themselves; who asks meanwhile gets the same report. */
  sweep(): Promise<SweepObject> {
    this.sweeping ??= this.sweepOnce().finally(() => (this.sweeping = undefined));
    return this.sweeping;
  }

  async drain(): Promise<DrainObject> {
    await this.draining.drain();
    return this.drainState();
  }

  async resume(): Promise<DrainObject> {
    await this.draining.resume();
    return this.drainState();
  }

  async drainState(): Promise<DrainObject> {
    return {
      object: 'drain',
      draining: this.draining.isDraining,
      since: toUnixOrNull(this.draining.since),
      running_executions: await this.executions.countRunning(),
    };
  }

  async queues(): Promise<Page<QueueObject>> {
    const rows = Object.entries(await this.jobs.state()).map(([id, state]) => ({ id, ...state }));
    return toPage(rows, rows.length, (row) => ({ ...row, object: 'queue' as const }));
  }

  private async sweepOnce(): Promise<SweepObject> {
    const swept = await this.sweeper.sweep();
    const { containerFiles, ...forgotten } = await this.retention.forget();
    const garbage = await this.retention.collectGarbage(true);
    return {
      object: 'sweep',
      created_at: toUnix(new Date()),
      expired_containers: swept.expiredContainers,
      removed_sandboxes: swept.removedSandboxes,
      forgotten: { ...forgotten, container_files: containerFiles },
      removed_blobs: garbage.blobs + garbage.orphans,
    };
  }
}
