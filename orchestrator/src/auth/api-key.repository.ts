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

  /** Those of the hashes that belong to keys which are not revoked. */
  async findActive(hashes: readonly string[]): Promise<ReadonlyMap<string, ActiveKey>> {
    const rows = await this.prisma.apiKey.findMany({
      where: { hash: { in: [...hashes] }, revokedAt: null, project: { deletedAt: null } },
      select: {
        id: true,
        hash: true,
        projectId: true,
        project: { select: { status: true, requestsPerMinute: true, concurrentRuns: true } },
      },
    });
    return new Map(
      rows.map(({ id, hash, projectId, project: { status, ...limits } }) => [
        hash,
        { id, projectId, suspended: status === 'suspended', limits },
      ]),
    );
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

  /** Those revoked before `before`, but for keys that were configured, and for `kept`, the one that is. */
  async removeRevoked(before: Date, kept: string): Promise<number> {
    const { count } = await this.prisma.apiKey.deleteMany({
      where: { revokedAt: { lt: before }, configured: false, hash: { not: kept } },
    });
    return count;
  }

  async touch(id: string): Promise<void> {
    await this.prisma.apiKey.updateMany({ where: { id }, data: { lastUsedAt: new Date() } });
  }

  /**
   * Makes the first project and the key of the configuration known, and revokes those that were configured
   * before it. Answers with the key as it is now; one that was revoked stays so.
   */
  async ensureDefault(
    project: { id: string; name: string },
    key: { id: string; name: string; hash: string; hint: string },
  ): Promise<KeyRecord> {
    return this.prisma.$transaction(async (tx) => {
      await tx.project.upsert({ where: { id: project.id }, create: project, update: {} });
      const record = await tx.apiKey.upsert({
        where: { hash: key.hash },
        create: { ...key, projectId: project.id, configured: true },
        update: {},
      });
      await tx.apiKey.updateMany({
        where: { configured: true, revokedAt: null, hash: { not: key.hash } },
        data: { revokedAt: new Date() },
      });
      return record;
    });
  }
}
