import { Injectable } from '@nestjs/common';
import type { WebhookEndpoint } from '../../database/generated/client.js';
import { lockedTransaction } from '../../database/advisory-lock.js';
import { PrismaService } from '../../database/prisma.service.js';

export type EndpointRow = WebhookEndpoint;

export interface NewEndpoint {
  readonly id: string;
  readonly projectId: string;
  readonly url: string;
  readonly events: string[];
  readonly secret: string;
  readonly secretHint: string;
  readonly name: string | null;
}

export interface EndpointChange {
  readonly url?: string;
  readonly events?: string[];
  readonly name?: string;
  readonly disabledAt?: Date | null;
  readonly disabledReason?: string | null;
  readonly secret?: string;
  readonly secretHint?: string;
  readonly previousSecret?: string | null;
  readonly previousSecretUntil?: Date | null;
}

@Injectable()
export class WebhookEndpointRepository {
  constructor(private readonly prisma: PrismaService) {}

  /** Null when the project has `max` of them. Its lock is held meanwhile, so parallel creates cannot pass it. */
  async insertWithin(max: number, row: NewEndpoint): Promise<EndpointRow | null> {
    return lockedTransaction(this.prisma, ['webhooks', row.projectId], async (tx) => {
      const count = await tx.webhookEndpoint.count({ where: { projectId: row.projectId } });
      return count >= max ? null : tx.webhookEndpoint.create({ data: row });
    });
  }

  find(projectId: string, id: string): Promise<EndpointRow | null> {
    return this.prisma.webhookEndpoint.findFirst({ where: { id, projectId } });
  }

  list(query: {
    projectId: string;
    afterSeq?: bigint | undefined;
    limit: number;
    order: 'asc' | 'desc';
  }): Promise<EndpointRow[]> {
    const seq = query.order === 'asc' ? { gt: query.afterSeq } : { lt: query.afterSeq };
    return this.prisma.webhookEndpoint.findMany({
      where: { projectId: query.projectId, ...(query.afterSeq === undefined ? {} : { seq }) },
      orderBy: { seq: query.order },
      take: query.limit,
    });
  }

  /** Null when it is gone. */
  async update(projectId: string, id: string, change: EndpointChange): Promise<EndpointRow | null> {
    const [row] = await this.prisma.webhookEndpoint.updateManyAndReturn({
      where: { id, projectId },
      data: { ...change, updatedAt: new Date() },
    });
    return row ?? null;
  }

  /** With its deliveries. False when it was gone. */
  async remove(projectId: string, id: string): Promise<boolean> {
    const { count } = await this.prisma.webhookEndpoint.deleteMany({ where: { id, projectId } });
    return count === 1;
  }

  /** How often the project's callback secret was rotated; null when the project is gone. */
  async callbackVersion(projectId: string): Promise<number | null> {
    const row = await this.prisma.project.findUnique({
      where: { id: projectId },
      select: { callbackSecretVersion: true },
    });
    return row?.callbackSecretVersion ?? null;
  }

  async nextCallbackVersion(projectId: string): Promise<void> {
    await this.prisma.project.updateMany({
      where: { id: projectId },
      data: { callbackSecretVersion: { increment: 1 } },
    });
  }
}
