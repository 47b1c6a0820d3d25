import { Injectable } from '@nestjs/common';
import type { Response, ResponseItem } from '../database/generated/client.js';
import { PrismaService } from '../database/prisma.service.js';
import { at } from '../database/sql.js';
import type { InputItem } from './input.schema.js';
import type { OutputItem, ResponseObject } from './response.types.js';

export type ResponseRow = Response;
export type ResponseItemRow = ResponseItem;

export interface NewResponseRow {
  readonly id: string;
  readonly projectId: string;
  /** Whose limit of concurrent runs it counts for. */
  readonly keyId: string;
  readonly model: string;
  readonly background: boolean;
  readonly streamed: boolean;
  readonly previousResponseId: string | null;
  readonly conversationId: string | null;
  readonly callbackUrl: string | null;
  readonly createdAt: Date;
  readonly request: unknown;
  readonly body: ResponseObject;
  readonly input: readonly (InputItem & { id: string })[];
}

/** One of a chain of responses. */
export interface ChainLink {
  readonly id: string;
  readonly stored: boolean;
}

export interface ResponseSize {
  readonly id: string;
  readonly items: number;
  readonly bytes: number;
}

/** An item without its content. */
export interface ItemHead {
  readonly key: bigint;
  readonly id: string;
  readonly responseId: string;
  readonly kind: 'input' | 'output';
  readonly bytes: number;
}

@Injectable()
export class ResponseRepository {
  constructor(private readonly prisma: PrismaService) {}

  /** The response and its input in one statement, however many items there are. */
  async insert(row: NewResponseRow): Promise<void> {
    const { input, body } = row;
    const { output: _, ...stored } = body;
    await this.prisma.$executeRaw`
      WITH response AS (
        INSERT INTO "Response" ("id", "projectId", "keyId", "model", "background", "streamed", "previousResponseId",
                                "conversationId", "callbackUrl", "createdAt", "status", "request", "body")
        VALUES (${row.id}, ${row.projectId}, ${row.keyId}, ${row.model}, ${row.background}, ${row.streamed},
                ${row.previousResponseId}, ${row.conversationId}, ${row.callbackUrl}, ${at(row.createdAt)},
                ${body.status}::"ResponseStatus", ${JSON.stringify(row.request)}::json, ${JSON.stringify(stored)}::json)
        RETURNING "id", "projectId"
      )
      INSERT INTO "ResponseItem" ("id", "responseId", "projectId", "kind", "position", "item")
      SELECT input.item ->> 'id', response."id", response."projectId", 'input', input.number - 1, input.item
        FROM response, json_array_elements(${JSON.stringify(input)}::json) WITH ORDINALITY AS input (item, number)
       ORDER BY input.number`;
  }

  async find(projectId: string, id: string): Promise<ResponseRow | null> {
    return this.prisma.response.findFirst({ where: { id, projectId, deletedAt: null, stored: true } });
  }

  async items(responseId: string, kind?: 'input' | 'output'): Promise<ResponseItemRow[]> {
    return this.prisma.responseItem.findMany({
      where: { responseId, ...(kind ? { kind } : {}) },
      orderBy: [{ kind: 'asc' }, { position: 'asc' }],
    });
  }

  /** The response and those before it, newest first, without their content; ends where one was deleted. */
  async chain(projectId: string, id: string): Promise<ChainLink[]> {
    return this.prisma.$queryRaw<ChainLink[]>`
      WITH RECURSIVE chain AS (
        SELECT r."id", r."stored", r."previousResponseId", 0 AS depth FROM "Response" r
         WHERE r."id" = ${id} AND r."projectId" = ${projectId} AND r."deletedAt" IS NULL
        UNION ALL
        SELECT r."id", r."stored", r."previousResponseId", chain.depth + 1
          FROM "Response" r JOIN chain ON r."id" = chain."previousResponseId"
         WHERE r."projectId" = ${projectId} AND r."deletedAt" IS NULL
      )
      SELECT "id", "stored" FROM chain ORDER BY depth`;
  }

  /** How much each of these responses holds; those without items are left out. */
  async sizes(responseIds: readonly string[]): Promise<ResponseSize[]> {
    const rows = await this.prisma.$queryRaw<{ id: string; items: bigint; bytes: bigint }[]>`
      SELECT "responseId" AS id, count(*) AS items, sum(octet_length("item"::text)) AS bytes
        FROM "ResponseItem" WHERE "responseId" = ANY(${[...responseIds]}) GROUP BY "responseId"`;
    return rows.map(({ id, items, bytes }) => ({ id, items: Number(items), bytes: Number(bytes) }));
  }

  /** Items of these responses, in the order within each. Ask for few at a time: see `sizes`. */
  async itemsOf(responseIds: readonly string[]): Promise<ResponseItemRow[]> {
    return this.prisma.responseItem.findMany({
      where: { responseId: { in: [...responseIds] } },
      orderBy: [{ kind: 'asc' }, { position: 'asc' }],
    });
  }

  /** Items without their content, in the order within each response. */
  async itemHeads(responseIds: readonly string[]): Promise<ItemHead[]> {
    const rows = await this.prisma.$queryRaw<(Omit<ItemHead, 'bytes'> & { bytes: bigint })[]>`
      SELECT "key", "id", "responseId", "kind"::text AS kind, octet_length("item"::text)::bigint AS bytes
        FROM "ResponseItem" WHERE "responseId" = ANY(${[...responseIds]})
       ORDER BY "ResponseItem"."kind", "position"`;
    return rows.map((row) => ({ ...row, bytes: Number(row.bytes) }));
  }

  /** The newest item of each id in the project's responses, for `item_reference`; without content. */
  async findItems(projectId: string, itemIds: readonly string[]): Promise<ItemHead[]> {
    const rows = await this.prisma.$queryRaw<(Omit<ItemHead, 'bytes'> & { bytes: bigint })[]>`
      SELECT DISTINCT ON (i."id") i."key", i."id", i."responseId", i."kind"::text AS kind,
             octet_length(i."item"::text)::bigint AS bytes
        FROM "ResponseItem" i JOIN "Response" r ON r."id" = i."responseId"
       WHERE i."projectId" = ${projectId} AND i."id" = ANY(${[...itemIds]}) AND r."deletedAt" IS NULL
       ORDER BY i."id", i."key" DESC`;
    return rows.map((row) => ({ ...row, bytes: Number(row.bytes) }));
  }

  /** The items with these keys, in no particular order. */
  async itemsByKey(keys: readonly bigint[]): Promise<ResponseItemRow[]> {
    return this.prisma.responseItem.findMany({ where: { key: { in: [...keys] } } });
  }

  async markDeleted(id: string): Promise<boolean> {
    const { count } = await this.prisma.response.updateMany({
      where: { id, deletedAt: null },
      data: { deletedAt: new Date() },
    });
    return count === 1;
  }

  outputOf(items: readonly ResponseItemRow[]): OutputItem[] {
    return items.filter((item) => item.kind === 'output').map((item) => item.item as unknown as OutputItem);
  }
}
