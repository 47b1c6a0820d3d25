import { Injectable } from '@nestjs/common';
import { PrismaService } from '../database/prisma.service.js';
import type { KeyLimits } from './caller.js';

export interface KeyRecord {
  readonly id: string;
  readonly projectId: string;
  readonly name: string;
  readonly hint: string;
  readonly createdAt: Date;
  readonly lastUsedAt: Date | null;
  readonly revokedAt: Date | null;
}

/** A key that opens something, and what its project grants it. */
export interface ActiveKey {
  readonly id: string;
  readonly projectId: string;
  readonly suspended: boolean;
  readonly limits: KeyLimits;
}

@Injectable()
export class ApiKeyRepository {
  constructor(private readonly prisma: PrismaService) {}

  async findActive(hash: string): Promise<ActiveKey | null> {
    const row = await this.prisma.apiKey.findFirst({
      where: { hash, revokedAt: null },
      select: {
        id: true,
        projectId: true,
        project: { select: { status: true, requestsPerMinute: true, concurrentRuns: true } },
      },
    });
    if (!row) return null;
    const { status, ...limits } = row.project;
    return { id: row.id, projectId: row.projectId, suspended: status === 'suspended', limits };
  }

  async insert(row: {
    id: string;
    projectId: string;
    name: string;
    hash: string;
    hint: string;
  }): Promise<KeyRecord> {
    return this.prisma.apiKey.create({ data: row });
  }

  async list(projectId: string): Promise<KeyRecord[]> {
    return this.prisma.apiKey.findMany({ where: { projectId }, orderBy: { createdAt: 'asc' } });
  }

  /** False when there is no such key, or it was revoked before. */
  async revoke(projectId: string, id: string): Promise<boolean> {
    const { count } = await this.prisma.apiKey.updateMany({
      where: { id, projectId, revokedAt: null },
      data: { revokedAt: new Date() },
    });
    return count === 1;
  }

  async touch(id: string): Promise<void> {
    await this.prisma.apiKey.updateMany({ where: { id }, data: { lastUsedAt: new Date() } });
  }

  /** Makes the first project and its key known; does nothing when the key exists. */
  async ensureDefault(
    project: { id: string; name: string },
    key: { id: string; name: string; hash: string; hint: string },
  ): Promise<void> {
    await this.prisma.project.upsert({ where: { id: project.id }, create: project, update: {} });
    await this.prisma.apiKey.upsert({
      where: { hash: key.hash },
      create: { ...key, projectId: project.id },
      update: {},
    });
  }
}
