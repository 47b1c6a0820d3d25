import { Injectable, Logger } from '@nestjs/common';
import { AuthService } from '../auth/auth.service.js';
import { ApiError } from '../common/api-error.js';
import { newId } from '../common/ids.js';
import { type Page, type PageQuery, toPage } from '../common/pagination.js';
import { ProjectRemoval } from '../retention/project-removal.service.js';
import { notFoundHere } from './admin-errors.js';
import { presentKey, presentProject } from './project.presenter.js';
import { type ProjectContents, ProjectContentsService } from './project-contents.js';
import { ProjectRepository, type ProjectRow } from './project.repository.js';
import type {
  CreateProjectRequest,
  KeyObject,
  NewKeyObject,
  ProjectObject,
  UpdateProjectRequest,
} from './project.schema.js';

const asBytes = (pool: number | null | undefined): bigint | null | undefined =>
  pool === undefined || pool === null ? pool : BigInt(pool);

@Injectable()
export class ProjectsService {
  private readonly logger = new Logger(ProjectsService.name);

  constructor(
    private readonly projects: ProjectRepository,
    private readonly contents: ProjectContentsService,
    private readonly auth: AuthService,
    private readonly removal: ProjectRemoval,
  ) {}

  async create(request: CreateProjectRequest): Promise<ProjectObject> {
    const row = await this.projects.insert({
      id: newId.project(),
      name: request.name,
      memoryPoolBytes: asBytes(request.memory_pool) ?? null,
      storageQuotaBytes: asBytes(request.storage_quota) ?? null,
      requestsPerMinute: request.requests_per_minute ?? null,
      concurrentRuns: request.concurrent_runs ?? null,
      allowsLinks: request.links ?? true,
    });
    this.logger.log({ projectId: row.id }, 'project created');
    return presentProject(row);
  }

  async list(query: PageQuery): Promise<Page<ProjectObject>> {
    if (query.after !== undefined) await this.find(query.after);
    const rows = await this.projects.list({ ...query, limit: query.limit + 1 });
    return toPage(rows, query.limit, presentProject);
  }

  async retrieve(id: string): Promise<ProjectObject> {
    return presentProject(await this.find(id));
  }

  /** What a change of the state means for requests holds at once. */
  async update(id: string, request: UpdateProjectRequest): Promise<ProjectObject> {
    const row = await this.projects.update(id, {
      name: request.name,
      status: request.status,
      memoryPoolBytes: asBytes(request.memory_pool),
      storageQuotaBytes: asBytes(request.storage_quota),
      requestsPerMinute: request.requests_per_minute,
      concurrentRuns: request.concurrent_runs,
      allowsLinks: request.links,
    });
    if (!row) throw notFoundHere.project(id);
    this.auth.forget();
    this.logger.log({ projectId: id, status: row.status }, 'project changed');
    return presentProject(row);
  }

  /**
   * Deletes a project; `force` ends its containers and takes all that it holds along. It is gone for everybody
   * when this returns; false when some of what it held is still being removed.
   */
  async remove(id: string, force: boolean): Promise<boolean> {
    await this.find(id);
    if (!force) refuseUnlessEmpty(await this.contents.of(id));
    await this.removal.mark(id);
    this.auth.forget();
    this.logger.warn({ projectId: id, force }, 'project deleted');
    return this.removal.begin(id);
  }

  async createKey(projectId: string, name: string): Promise<NewKeyObject> {
    await this.find(projectId);
    const { secret, ...record } = await this.auth.createKey(projectId, name);
    return { ...presentKey(record), secret };
  }

  /** Revoked ones too: they tell who had access, and when. */
  async listKeys(projectId: string, query: PageQuery): Promise<Page<KeyObject>> {
    await this.find(projectId);
    const keys = await this.auth.listKeys(projectId);
    if (query.order === 'desc') keys.reverse();
    const from = query.after === undefined ? 0 : keys.findIndex((key) => key.id === query.after) + 1;
    if (query.after !== undefined && from === 0) throw notFoundHere.cursor();
    return toPage(keys.slice(from, from + query.limit + 1), query.limit, presentKey);
  }

  async revokeKey(projectId: string, id: string): Promise<void> {
    await this.find(projectId);
    if (!(await this.auth.revokeKey(projectId, id))) throw notFoundHere.key(id);
  }

  private async find(id: string): Promise<ProjectRow> {
    const row = await this.projects.find(id);
    if (!row) throw notFoundHere.project(id);
    return row;
  }
}

function refuseUnlessEmpty(contents: ProjectContents): void {
  const held = Object.entries(contents).filter(([, count]) => count > 0);
  if (held.length === 0) return;
  throw new ApiError(
    'invalid_request',
    `This project is not empty: it has ${held.map(([what, count]) => `${count} ${what}`).join(', ')}. ` +
      'Delete them first, or send force=true to delete them with it.',
    { param: 'force' },
  );
}
