/** Containers and executions of all projects. Looking at them never counts as using them. */
import { Injectable, Logger } from '@nestjs/common';
import { type Page, toPage } from '../common/pagination.js';
import { ContainersService } from '../containers/containers.service.js';
import { HibernationService } from '../containers/hibernation.service.js';
import {
  ContainerInventory,
  type ContainerRow,
  ExecutionInventory,
  type ExecutionSummary,
} from '../containers/inventory.lookup.js';
import { notFoundHere } from './admin-errors.js';
import { presentContainer, presentExecution } from './admin.presenter.js';
import type {
  AdminContainerObject,
  AdminExecutionObject,
  ExecutionQuery,
  ListContainersQuery,
  ListExecutionsQuery,
} from './admin.schema.js';

@Injectable()
export class InventoryService {
  private readonly logger = new Logger(InventoryService.name);

  constructor(
    private readonly containerRows: ContainerInventory,
    private readonly executionRows: ExecutionInventory,
    private readonly containers: ContainersService,
    private readonly hibernation: HibernationService,
  ) {}

  async listContainers(query: ListContainersQuery): Promise<Page<AdminContainerObject>> {
    const after = query.after === undefined ? undefined : await this.containerRows.find(query.after);
    if (after === null) throw notFoundHere.cursor();
    const rows = await this.containerRows.list({
      projectId: query.project_id,
      status: query.status,
      afterSeq: after?.seq,
      limit: query.limit + 1,
      order: query.order,
    });
    const now = new Date();
    const states = new Map(
      await Promise.all(rows.map(async (row) => [row.id, await this.hibernation.stateOf(row)] as const)),
    );
    return toPage(rows, query.limit, (row) => presentContainer(row, states.get(row.id)!, now));
  }

  async retrieveContainer(id: string): Promise<AdminContainerObject> {
    const row = await this.container(id);
    return presentContainer(row, await this.hibernation.stateOf(row));
  }

  /** Ends it at once, running code included, as its project could. */
  async deleteContainer(id: string): Promise<void> {
    const row = await this.container(id);
    await this.containers.delete(row.projectId, id);
    this.logger.log({ containerId: id, projectId: row.projectId }, 'container deleted by the operator');
  }

  async listExecutions(query: ListExecutionsQuery): Promise<Page<AdminExecutionObject>> {
    const after = query.after === undefined ? undefined : await this.executionRows.find(query.after);
    if (after === null) throw notFoundHere.cursor();
    const rows = await this.executionRows.list({
      projectId: query.project_id,
      containerId: query.container_id,
      status: query.status,
      afterSeq: after?.seq,
      limit: query.limit + 1,
      order: query.order,
    });
    const code = await this.code(rows.slice(0, query.limit), query);
    return toPage(rows, query.limit, (row) => presentExecution(row, code.get(row.id)));
  }

  async retrieveExecution(id: string, query: ExecutionQuery): Promise<AdminExecutionObject> {
    const row = await this.executionRows.find(id);
    if (!row) throw notFoundHere.execution(id);
    return presentExecution(row, (await this.code([row], query)).get(id));
  }

  private async code(
    rows: readonly ExecutionSummary[],
    query: ExecutionQuery,
  ): Promise<ReadonlyMap<string, string>> {
    if (!query.include?.includes('code')) return new Map();
    return this.executionRows.codeOf(rows.map((row) => row.id));
  }

  private async container(id: string): Promise<ContainerRow> {
    const row = await this.containerRows.find(id);
    if (!row) throw notFoundHere.container(id);
    return row;
  }
}
