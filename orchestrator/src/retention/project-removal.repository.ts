/** What a deleted project held, in bounded steps. */
import { Injectable } from '@nestjs/common';
import { PrismaService } from '../database/prisma.service.js';
import { NOW } from '../database/sql.js';

/** Rows of one step. */
export const MOST = 500;

/** A table, and where its rows are found by an index: by their project, or through the row that they belong to. */
interface Kind {
  readonly table: string;
  readonly from: string;
}

const own = (table: string): Kind => ({ table, from: `"${table}" t WHERE t."projectId" = $1` });

/** A few of each parent's rows, so that an index is all that is read. */
const through = (parent: string, table: string, column: string): Kind => ({
  table,
  from: `"${parent}" p CROSS JOIN LATERAL (
    SELECT c.ctid FROM "${table}" c WHERE c."${column}" = p."id" LIMIT ${MOST}) t WHERE p."projectId" = $1`,
});

/** In this order: what belongs to another row goes before it, so that no statement takes more than its rows along. */
export const KINDS: readonly Kind[] = [
  own('IdempotencyKey'),
  own('FileLink'),
  through('WebhookDelivery', 'WebhookAttempt', 'deliveryId'),
  own('WebhookDelivery'),
  own('WebhookEndpoint'),
  own('InlineContent'),
  through('Conversation', 'ConversationItem', 'conversationId'),
  own('Conversation'),
  through('Response', 'ResponseEvent', 'responseId'),
  own('ResponseItem'),
  own('Response'),
  own('Execution'),
  through('Container', 'ContainerFile', 'containerId'),
  own('Container'),
  through('Upload', 'UploadPart', 'uploadId'),
  own('Upload'),
  own('File'),
  own('ApiKey'),
];

@Injectable()
export class ProjectRemovalRepository {
  constructor(private readonly prisma: PrismaService) {}

  /** From now on nobody sees it, and its keys open nothing. False when there is no such project. */
  async mark(id: string): Promise<boolean> {
    const count = await this.prisma.$executeRaw`
      UPDATE "Project" SET "deletedAt" = coalesce("deletedAt", ${NOW}) WHERE "id" = ${id}`;
    return count === 1;
  }

  async marked(): Promise<string[]> {
    const rows = await this.prisma.project.findMany({
      where: { deletedAt: { not: null } },
      select: { id: true },
    });
    return rows.map(({ id }) => id);
  }

  async isThere(id: string): Promise<boolean> {
    return (await this.prisma.project.count({ where: { id } })) > 0;
  }

  /**
   * At most `MOST` rows; returns how many. By an index also where a project holds so much of a table that
   * reading the whole of it once looks cheaper: it would be read again in each step.
   */
  async removeRows({ table, from }: Kind, id: string): Promise<number> {
    const [, count] = await this.prisma.$transaction([
      this.prisma.$executeRaw`SET LOCAL enable_seqscan = off`,
      this.prisma.$executeRawUnsafe(
        `DELETE FROM "${table}" WHERE ctid = ANY(ARRAY(SELECT t.ctid FROM ${from} LIMIT ${MOST}))`,
        id,
      ),
    ]);
    return count;
  }

  /** The row itself, with the little that came in meanwhile. */
  async remove(id: string): Promise<void> {
    await this.prisma.project.deleteMany({ where: { id } });
  }
}
