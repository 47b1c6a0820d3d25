import { Inject, Injectable } from '@nestjs/common';
import { type Page, toPage } from '../common/pagination.js';
import { toUnixOrNull } from '../common/time.js';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { notFoundHere } from './admin-errors.js';
import type { ListUsageQuery, UsageObject, UsageQuery } from './admin.schema.js';
import { ProjectRepository, type ProjectRow } from './project.repository.js';
import { StorageAccountRepository } from '../storage/storage-account.repository.js';
import type { Period } from '../common/period.js';
import { ContainerInventory, ExecutionInventory } from '../containers/inventory.lookup.js';
import { FilesService } from '../files/files.service.js';
import { ResponseUsage } from '../responses/response-usage.lookup.js';

const NO_FILES = { count: 0, bytes: 0 };

const asDate = (seconds: number | undefined): Date | undefined =>
  seconds === undefined ? undefined : new Date(seconds * 1000);

const periodOf = (query: UsageQuery): Period => ({ from: asDate(query.from), to: asDate(query.to) });

/** What each project holds now, and what it did in a period. */
@Injectable()
export class UsageService {
  constructor(
    private readonly projects: ProjectRepository,
    private readonly containers: ContainerInventory,
    private readonly executions: ExecutionInventory,
    private readonly files: FilesService,
    private readonly responses: ResponseUsage,
    private readonly accounts: StorageAccountRepository,
    @Inject(ENV) private readonly env: Env,
  ) {}

  async retrieve(projectId: string, query: UsageQuery): Promise<UsageObject> {
    const project = await this.projects.find(projectId);
    if (!project) throw notFoundHere.project(projectId);
    return (await this.of([project], periodOf(query)))[0]!;
  }

  async list(query: ListUsageQuery): Promise<Page<UsageObject>> {
    if (query.after !== undefined && !(await this.projects.find(query.after))) throw notFoundHere.cursor();
    const rows = await this.projects.list({ ...query, limit: query.limit + 1 });
    const shown = await this.of(rows.slice(0, query.limit), periodOf(query));
    const byId = new Map(shown.map((each) => [each.project_id, each]));
    return toPage(rows, query.limit, (row) => byId.get(row.id)!);
  }

  private async of(projects: readonly ProjectRow[], period: Period): Promise<UsageObject[]> {
    const ids = projects.map((project) => project.id);
    const [stored, containers, files, containerFiles, executions, responses] = await Promise.all([
      this.accounts.usedBy(ids),
      this.containers.use(ids),
      this.files.use(ids),
      this.containers.useOfFiles(ids),
      this.executions.use(ids, period),
      this.responses.use(ids, period),
    ]);
    return projects.map(({ id, memoryPoolBytes, storageQuotaBytes }) => {
      const { inputTokens = 0, outputTokens = 0, count = 0 } = responses.get(id) ?? {};
      return {
        object: 'project.usage',
        project_id: id,
        from: toUnixOrNull(period.from),
        to: toUnixOrNull(period.to),
        containers: {
          running: containers.get(id)?.running ?? 0,
          memory_bytes: containers.get(id)?.memoryBytes ?? 0,
          memory_pool_bytes: Number(memoryPoolBytes ?? this.env.MEMORY_POOL_BYTES),
        },
        files: files.get(id) ?? NO_FILES,
        container_files: containerFiles.get(id) ?? NO_FILES,
        storage: {
          bytes: stored.get(id) ?? 0,
          quota_bytes: Number(storageQuotaBytes ?? this.env.STORAGE_QUOTA_BYTES) || null,
        },
        executions: {
          count: executions.get(id)?.count ?? 0,
          duration_ms: executions.get(id)?.durationMs ?? 0,
        },
        responses: {
          count,
          input_tokens: inputTokens,
          output_tokens: outputTokens,
          total_tokens: inputTokens + outputTokens,
        },
      };
    });
  }
}
