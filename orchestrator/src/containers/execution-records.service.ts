/** What is known of executions, running or over. Running them is ExecutionService's. */
import { Injectable } from '@nestjs/common';
import { notFound } from '../common/api-error.js';
import type { Page, PageQuery } from '../common/pagination.js';
import { ContainerFileRepository, type ContainerFileRow } from './container-file.repository.js';
import type { ContainerRow } from './container.repository.js';
import { type ExecutionObject, presentExecution } from './execution.presenter.js';
import { ExecutionRepository } from './execution.repository.js';

/** Bytes of code, outputs and values on one page of a list. */
const PAGE_BYTES = 4_194_304;

export interface ExecutionListQuery extends PageQuery {
  readonly response_id?: string | undefined;
}

@Injectable()
export class ExecutionRecords {
  constructor(
    private readonly executions: ExecutionRepository,
    private readonly files: ContainerFileRepository,
  ) {}

  async get(container: ContainerRow, id: string): Promise<ExecutionObject> {
    const row = await this.executions.find(container.id, id);
    if (!row) throw notFound.execution(id);
    return presentExecution(row);
  }

  /** A page may hold fewer than `limit` when they are large; `has_more` tells whether others follow. */
  async list(container: ContainerRow, query: ExecutionListQuery): Promise<Page<ExecutionObject>> {
    const after =
      query.after === undefined ? undefined : await this.executions.find(container.id, query.after);
    if (query.after !== undefined && !after) throw notFound.cursor();
    const { rows, hasMore } = await this.executions.list({
      containerId: container.id,
      responseId: query.response_id,
      afterSeq: after?.seq,
      limit: query.limit,
      order: query.order,
      maxBytes: PAGE_BYTES,
    });
    return {
      object: 'list',
      data: rows.map(presentExecution),
      first_id: rows[0]?.id ?? null,
      last_id: rows.at(-1)?.id ?? null,
      has_more: hasMore,
    };
  }

  /** Files that the executions of a response made and figures they showed; for a run that is taken up again. */
  async filesOfResponse(responseId: string): Promise<ContainerFileRow[]> {
    const ids = new Set<string>();
    for (const row of await this.executions.ofResponse(responseId)) {
      const { files, outputs } = presentExecution(row);
      for (const { id } of files) ids.add(id);
      for (const output of outputs) if (output.type === 'image') ids.add(output.file_id);
    }
    return this.files.byIds([...ids]);
  }

  /** Containers that the executions of a response used, newest first. */
  async containersOfResponse(responseId: string): Promise<string[]> {
    const rows = await this.executions.ofResponse(responseId);
    return [...new Set(rows.map((row) => row.containerId).reverse())];
  }
}
