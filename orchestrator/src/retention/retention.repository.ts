/** What is forgotten, in bounded steps: every method takes at most `take` rows and says how many it took. */
import { Injectable } from '@nestjs/common';
import { Prisma } from '../database/generated/client.js';
import { PrismaService } from '../database/prisma.service.js';
import { at } from '../database/sql.js';

const RUNNING_RESPONSE = ['queued', 'in_progress'] as const;
const RUNNING_EXECUTION = ['queued', 'running'] as const;

const idsOf = (rows: readonly { readonly id: string }[]): string[] => rows.map((row) => row.id);

@Injectable()
export class RetentionRepository {
  constructor(private readonly prisma: PrismaService) {}

  /** Responses made before `before` that have ended, with their items and events. */
  async removeResponses(before: Date, take: number): Promise<number> {
    const old: Prisma.ResponseWhereInput = {
      createdAt: { lt: before },
      status: { notIn: [...RUNNING_RESPONSE] },
    };
    const rows = await this.prisma.response.findMany({
      where: old,
      orderBy: { createdAt: 'asc' },
      select: { id: true },
      take,
    });
    return this.count(this.prisma.response.deleteMany({ where: { ...old, id: { in: idsOf(rows) } } }));
  }

  /**
   * Takes the content out of responses their project deleted. The row stays, with its token counts
   * alone, until its time is over.
   */
  async emptyDeletedResponses(take: number): Promise<number> {
    return this.prisma.$transaction(async (tx) => {
      const rows = await tx.$queryRaw<{ id: string }[]>`
        SELECT "id" FROM "Response" WHERE "deletedAt" IS NOT NULL AND "request"::text <> '{}' LIMIT ${take}`;
      const ids = idsOf(rows);
      await tx.responseItem.deleteMany({ where: { responseId: { in: ids } } });
      await tx.responseEvent.deleteMany({ where: { responseId: { in: ids } } });
      return tx.$executeRaw`
        UPDATE "Response" SET "request" = '{}', "body" = json_build_object('usage', "body"->'usage')
         WHERE "id" = ANY(${ids}::text[])`;
    });
  }

  /** Events of `take` responses that ended before `before`: nobody resumes their stream any more. */
  async removeEvents(before: Date, take: number): Promise<number> {
    return this.prisma.$executeRaw`
      DELETE FROM "ResponseEvent" WHERE "responseId" IN (
        SELECT DISTINCT e."responseId" FROM "ResponseEvent" e JOIN "Response" r ON r."id" = e."responseId"
         WHERE r."status" NOT IN ('queued', 'in_progress')
           AND coalesce(r."completedAt", r."leaseUntil", r."createdAt") < ${at(before)}
         LIMIT ${take})`;
  }

  /** Conversations that were deleted before `before`, with their items. */
  async removeDeletedConversations(before: Date, take: number): Promise<number> {
    const rows = await this.prisma.conversation.findMany({
      where: { deletedAt: { lt: before } },
      select: { id: true },
      take,
    });
    return this.count(this.prisma.conversation.deleteMany({ where: { id: { in: idsOf(rows) } } }));
  }

  /** Files of containers that were deleted, and files that code removed before its container ended. */
  async removeUnreachableFiles(take: number): Promise<number> {
    const rows = await this.prisma.containerFile.findMany({
      where: {
        OR: [
          { container: { status: 'deleted' } },
          { container: { status: 'expired' }, deletedAt: { not: null } },
        ],
      },
      select: { id: true },
      take,
    });
    return this.count(this.prisma.containerFile.deleteMany({ where: { id: { in: idsOf(rows) } } }));
  }

  /** Takes code and outputs out of the executions of deleted containers; what they cost is kept. */
  async emptyDeletedExecutions(take: number): Promise<number> {
    const rows = await this.prisma.execution.findMany({
      where: {
        container: { status: 'deleted' },
        code: { not: '' },
        status: { notIn: [...RUNNING_EXECUTION] },
      },
      select: { id: true },
      take,
    });
    return this.count(
      this.prisma.execution.updateMany({
        where: { id: { in: idsOf(rows) } },
        data: { code: '', outputs: [], files: [] },
      }),
    );
  }

  async removeExecutions(before: Date, take: number): Promise<number> {
    const rows = await this.prisma.execution.findMany({
      where: { createdAt: { lt: before }, status: { notIn: [...RUNNING_EXECUTION] } },
      select: { id: true },
      take,
    });
    return this.count(this.prisma.execution.deleteMany({ where: { id: { in: idsOf(rows) } } }));
  }

  /** Tombstones, with the files and executions they still have. */
  async removeContainers(before: Date, take: number): Promise<number> {
    const rows = await this.prisma.container.findMany({
      where: { status: { in: ['expired', 'deleted'] }, endedAt: { lt: before } },
      select: { id: true },
      take,
    });
    return this.count(this.prisma.container.deleteMany({ where: { id: { in: idsOf(rows) } } }));
  }

  /** Deliveries of webhooks that were made or given up. */
  async removeDeliveries(before: Date, take: number): Promise<number> {
    const rows = await this.prisma.webhookDelivery.findMany({
      where: { status: { not: 'pending' }, createdAt: { lt: before } },
      select: { id: true },
      take,
    });
    return this.count(this.prisma.webhookDelivery.deleteMany({ where: { id: { in: idsOf(rows) } } }));
  }

  /** Uploads that came to an end; the file that came out of one lives on. */
  async removeUploads(before: Date, take: number): Promise<number> {
    const rows = await this.prisma.upload.findMany({
      where: { status: { not: 'pending' }, createdAt: { lt: before } },
      select: { id: true },
      take,
    });
    return this.count(this.prisma.upload.deleteMany({ where: { id: { in: idsOf(rows) } } }));
  }

  private async count(step: PromiseLike<{ readonly count: number }>): Promise<number> {
    return (await step).count;
  }
}
