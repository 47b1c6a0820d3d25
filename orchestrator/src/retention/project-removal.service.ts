/**
 * Removes projects that were deleted. Marking one is a moment; what it held goes in small steps, each a statement
 * of its own, so that nobody else waits for it. A job does the work, and goes on where it was after a restart.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import { ContainersService } from '../containers/containers.service.js';
import { ContainerInventory, ExecutionInventory } from '../containers/inventory.lookup.js';
import { JobScheduler } from '../queues/job-scheduler.js';
import { QUEUES } from '../queues/queue-names.js';
import { BlobsService } from '../storage/blobs.service.js';
import { KINDS, MOST, ProjectRemovalRepository } from './project-removal.repository.js';

export const REMOVE_PROJECTS = 'remove-projects';
/** Milliseconds that code of a project gets to end before its rows go. */
const END_MS = 10_000;
/** Milliseconds that a caller waits for the end. */
const WAIT_MS = 15_000;
const POLL_MS = 50;

@Injectable()
export class ProjectRemoval {
  private readonly logger = new Logger(ProjectRemoval.name);

  constructor(
    private readonly rows: ProjectRemovalRepository,
    private readonly containers: ContainersService,
    private readonly inventory: ContainerInventory,
    private readonly executions: ExecutionInventory,
    private readonly blobs: BlobsService,
    private readonly jobs: JobScheduler,
  ) {}

  /** Marks it: from then on it is gone for everybody. False when there is no such project. */
  mark(id: string): Promise<boolean> {
    return this.rows.mark(id);
  }

  /** Has a marked project removed; true when that was done while the caller waited. */
  async begin(id: string): Promise<boolean> {
    await this.jobs.add(QUEUES.retention, REMOVE_PROJECTS, {}, { attempts: 3 });
    const deadline = performance.now() + WAIT_MS;
    while (performance.now() < deadline) {
      if (!(await this.rows.isThere(id))) return true;
      await sleep(POLL_MS);
    }
    return false;
  }

  /** The job. Every step may be repeated. */
  async removeMarked(): Promise<number> {
    const ids = await this.rows.marked();
    for (const id of ids) await this.removeOne(id);
    return ids.length;
  }

  private async removeOne(id: string): Promise<void> {
    await this.endContainers(id);
    let count = 0;
    for (const kind of KINDS) {
      for (let taken = MOST; taken === MOST; count += taken) taken = await this.rows.removeRows(kind, id);
    }
    await this.rows.remove(id);
    await this.blobs.freeUnused();
    this.logger.warn({ projectId: id, rows: count }, 'project removed');
  }

  /** Ends every sandbox, and waits until running code has been written down. */
  private async endContainers(id: string): Promise<void> {
    for (;;) {
      const ids = await this.inventory.idsOf(id, MOST);
      for (const containerId of ids) await this.containers.delete(id, containerId);
      if (ids.length < MOST) break;
    }
    const deadline = performance.now() + END_MS;
    while ((await this.executions.countRunning(id)) > 0 && performance.now() < deadline) await sleep(POLL_MS);
  }
}
