import { Inject, Injectable } from '@nestjs/common';
import { type Conversation, type ConversationItem, Prisma } from '../database/generated/client.js';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { PrismaService } from '../database/prisma.service.js';
import { NOW } from '../database/sql.js';
import { toJson } from '../database/json.js';

export type ConversationRow = Conversation;
export type ConversationItemRow = ConversationItem;

export interface NewItem {
  readonly id: string;
  readonly item: unknown;
}

/** Bytes of JSON in one page of items, unless a single item is larger. */
const PAGE_BYTES = 8 * 1024 * 1024;

interface ItemsQuery {
  readonly conversationId: string;
  readonly afterKey?: bigint | undefined;
  readonly limit: number;
  readonly order: 'asc' | 'desc';
}

/** Items read in one go. */
const READ_AT_ONCE = 500;

/** Of an item `i` as it is shown, the content that its row only names included. */
const BYTES = Prisma.raw(`(octet_length(i."item"::text) + coalesce((
  SELECT sum(c."bytes") * 4 / 3 FROM "InlineContent" c WHERE c."conversationItemKey" = i."key"), 0))::float`);

const rowsOf = (conversationId: string, items: readonly NewItem[]) =>
  items.map(({ id, item }) => ({ id, conversationId, item: toJson(item) }));

@Injectable()
export class ConversationRepository {
  constructor(
    private readonly prisma: PrismaService,
    @Inject(ENV) private readonly env: Env,
  ) {}

  async insert(
    row: { id: string; projectId: string; metadata: Record<string, string> },
    items: readonly NewItem[],
  ): Promise<ConversationRow> {
    return this.prisma.$transaction(async (tx) => {
      const conversation = await tx.conversation.create({ data: row });
      if (items.length > 0)
        await tx.conversationItem.createMany({ data: rowsOf(row.id, items), skipDuplicates: true });
      return conversation;
    });
  }

  async find(projectId: string, id: string): Promise<ConversationRow | null> {
    return this.prisma.conversation.findFirst({ where: { id, projectId, deletedAt: null } });
  }

  async setMetadata(id: string, metadata: Record<string, string>): Promise<ConversationRow> {
    return this.prisma.conversation.update({ where: { id }, data: { metadata } });
  }

  /** Content of its items is let go of at once; the rows go with the clean-up. */
  async markDeleted(id: string): Promise<boolean> {
    const [row] = await this.prisma.$queryRaw<object[]>`
      WITH deleted AS (
        UPDATE "Conversation" SET "deletedAt" = ${NOW} WHERE "id" = ${id} AND "deletedAt" IS NULL RETURNING "id"
      ), freed AS (
        DELETE FROM "InlineContent" c USING "ConversationItem" i, deleted
         WHERE i."conversationId" = deleted."id" AND c."conversationItemKey" = i."key"
      )
      SELECT "id" FROM deleted`;
    return row !== undefined;
  }

  /** In the order given; an id that is there already is left alone. */
  async append(conversationId: string, items: readonly NewItem[]): Promise<void> {
    await this.prisma.conversationItem.createMany({
      data: rowsOf(conversationId, items),
      skipDuplicates: true,
    });
  }

  /** How many items it has, and bytes of JSON in them. */
  async size(conversationId: string): Promise<{ items: number; bytes: number }> {
    const [row] = await this.prisma.$queryRaw<{ items: bigint; bytes: bigint | null }[]>`
      SELECT count(*) AS items, sum(${BYTES}) AS bytes
        FROM "ConversationItem" i WHERE "conversationId" = ${conversationId}`;
    return { items: Number(row?.items ?? 0), bytes: Number(row?.bytes ?? 0) };
  }

  /** All items, oldest first, read in pages so that other requests get their turn. */
  async items(conversationId: string): Promise<ConversationItemRow[]> {
    const rows: ConversationItemRow[] = [];
    for (let afterKey: bigint | undefined; ; afterKey = rows.at(-1)?.key) {
      const page = await this.list({ conversationId, afterKey, limit: READ_AT_ONCE, order: 'asc' });
      rows.push(...page);
      if (page.length < READ_AT_ONCE) return rows;
    }
  }

  async list(query: ItemsQuery): Promise<ConversationItemRow[]> {
    return this.prisma.conversationItem.findMany({
      where: {
        conversationId: query.conversationId,
        ...(query.afterKey === undefined
          ? {}
          : { key: query.order === 'asc' ? { gt: query.afterKey } : { lt: query.afterKey } }),
      },
      orderBy: { key: query.order },
      take: query.limit,
    });
  }

  /** As many of the first `limit` items as fit into one reply, at least one; and whether there are more. */
  async page(query: ItemsQuery): Promise<{ rows: ConversationItemRow[]; hasMore: boolean }> {
    const { conversationId, afterKey, limit, order } = query;
    const isAfter =
      afterKey === undefined
        ? Prisma.empty
        : order === 'asc'
          ? Prisma.sql`AND "key" > ${afterKey}`
          : Prisma.sql`AND "key" < ${afterKey}`;
    const heads = await this.prisma.$queryRaw<{ key: bigint; bytes: number }[]>`
      SELECT "key", ${BYTES} AS bytes FROM "ConversationItem" i
       WHERE "conversationId" = ${conversationId} ${isAfter}
       ORDER BY "key" ${order === 'asc' ? Prisma.sql`ASC` : Prisma.sql`DESC`} LIMIT ${limit + 1}`;
    let bytes = 0;
    const fitting = heads.slice(0, limit).filter((head, index) => {
      bytes += head.bytes;
      return index === 0 || bytes <= PAGE_BYTES;
    });
    const rows = await this.prisma.conversationItem.findMany({
      where: { key: { in: fitting.map(({ key }) => key) } },
      orderBy: { key: order },
    });
    return { rows, hasMore: heads.length > fitting.length };
  }

  async findItem(conversationId: string, id: string): Promise<ConversationItemRow | null> {
    return this.prisma.conversationItem.findFirst({ where: { conversationId, id } });
  }

  async deleteItem(conversationId: string, id: string): Promise<boolean> {
    const { count } = await this.prisma.conversationItem.deleteMany({ where: { conversationId, id } });
    return count === 1;
  }

  /**
   * True when `responseId` may work on it now: nobody else does, or who did renews the lock no more. A
   * background response holds it until it ends, also while no server runs that could renew it.
   */
  async lock(projectId: string, id: string, responseId: string): Promise<boolean> {
    const count = await this.prisma.$executeRaw`
      UPDATE "Conversation" c SET "lockedBy" = ${responseId}, "lockedUntil" = ${this.lockEnd}
       WHERE c."id" = ${id} AND c."projectId" = ${projectId} AND c."deletedAt" IS NULL
         AND (c."lockedBy" IS NULL
              OR (c."lockedUntil" < ${NOW}
                  AND NOT EXISTS (SELECT 1 FROM "Response" r
                                   WHERE r."id" = c."lockedBy" AND r."background" AND r."completedAt" IS NULL)))`;
    return count === 1;
  }

  /** Renews locks, given as conversations by response; returns the responses that still have theirs. */
  async keepLocks(locks: ReadonlyMap<string, string>): Promise<string[]> {
    const rows = await this.prisma.$queryRaw<{ lockedBy: string }[]>`
      UPDATE "Conversation" SET "lockedUntil" = ${this.lockEnd}
       WHERE "id" = ANY(${[...locks.values()]}) AND "lockedBy" = ANY(${[...locks.keys()]})
      RETURNING "lockedBy"`;
    return rows.map(({ lockedBy }) => lockedBy);
  }

  async unlock(id: string, responseId: string): Promise<void> {
    await this.prisma.conversation.updateMany({
      where: { id, lockedBy: responseId },
      data: { lockedBy: null, lockedUntil: null },
    });
  }

  /** Adds the items of a response that was not stored, and unlocks. */
  async endTurn(id: string, responseId: string, items: readonly NewItem[]): Promise<void> {
    await this.prisma.$transaction([
      this.prisma.conversationItem.createMany({ data: rowsOf(id, items), skipDuplicates: true }),
      this.prisma.conversation.updateMany({
        where: { id, lockedBy: responseId },
        data: { lockedBy: null, lockedUntil: null },
      }),
    ]);
  }

  private get lockEnd(): Prisma.Sql {
    return Prisma.sql`${NOW} + make_interval(secs => ${this.env.RESPONSE_LEASE_SECONDS})`;
  }

  /** Of a project, not deleted. */
  count(projectId: string): Promise<number> {
    return this.prisma.conversation.count({ where: { projectId, deletedAt: null } });
  }
}
