import { Injectable } from '@nestjs/common';
import type { Prisma, Project } from '../database/generated/client.js';
import { PrismaService } from '../database/prisma.service.js';

export type ProjectRow = Project;

export interface ProjectChange {
  readonly name?: string | undefined;
  readonly status?: 'active' | 'suspended' | undefined;
  /** Null means the server's default. */
  readonly memoryPoolBytes?: bigint | null | undefined;
  /** Null means the server's default, 0 none. */
  readonly storageQuotaBytes?: bigint | null | undefined;
  readonly requestsPerMinute?: number | null | undefined;
  readonly concurrentRuns?: number | null | undefined;
  readonly allowsLinks?: boolean | undefined;
}

const present = (change: ProjectChange): Prisma.ProjectUpdateManyMutationInput => ({
  ...(change.name === undefined ? {} : { name: change.name }),
  ...(change.status === undefined ? {} : { status: change.status }),
  ...(change.memoryPoolBytes === undefined ? {} : { memoryPoolBytes: change.memoryPoolBytes }),
  ...(change.storageQuotaBytes === undefined ? {} : { storageQuotaBytes: change.storageQuotaBytes }),
  ...(change.requestsPerMinute === undefined ? {} : { requestsPerMinute: change.requestsPerMinute }),
  ...(change.concurrentRuns === undefined ? {} : { concurrentRuns: change.concurrentRuns }),
  ...(change.allowsLinks === undefined ? {} : { allowsLinks: change.allowsLinks }),
});

export interface NewProject {
  readonly id: string;
  readonly name: string;
  readonly memoryPoolBytes: bigint | null;
  readonly storageQuotaBytes: bigint | null;
  readonly requestsPerMinute: number | null;
  readonly concurrentRuns: number | null;
  readonly allowsLinks: boolean;
}

@Injectable()
export class ProjectRepository {
  constructor(private readonly prisma: PrismaService) {}

  insert(row: NewProject): Promise<ProjectRow> {
    return this.prisma.project.create({ data: row });
  }

  find(id: string): Promise<ProjectRow | null> {
    return this.prisma.project.findFirst({ where: { id, deletedAt: null } });
  }

  /** By creation time; projects have no sequence, so the id decides among equals. */
  list(query: { after?: string | undefined; limit: number; order: 'asc' | 'desc' }): Promise<ProjectRow[]> {
    return this.prisma.project.findMany({
      where: { deletedAt: null },
      orderBy: [{ createdAt: query.order }, { id: query.order }],
      take: query.limit,
      ...(query.after === undefined ? {} : { cursor: { id: query.after }, skip: 1 }),
    });
  }

  /** Null when there is no such project. */
  async update(id: string, change: ProjectChange): Promise<ProjectRow | null> {
    const [row] = await this.prisma.project.updateManyAndReturn({
      where: { id, deletedAt: null },
      data: present(change),
    });
    return row ?? null;
  }
}
