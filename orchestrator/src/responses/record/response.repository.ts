import { Injectable } from '@nestjs/common';
import { Prisma, type Response, type ResponseItem } from '../../database/generated/client.js';
import { PrismaService } from '../../database/prisma.service.js';
import { NOW } from '../../database/sql.js';
import { WriteGroup } from '../../database/write-group.js';
import type { InputItem } from '../input.schema.js';
import type { OutputItem, ResponseObject } from '../response.types.js';

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

/** Texts of `request`, of `body` and of `input`. */
type Texts = readonly [string, string, string];

interface NewRecord {
  readonly head: Readonly<Record<string, unknown>>;
  readonly texts: Texts;
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

/** Of an item `i` as it is shown, the content that its row only names included. */
const BYTES = Prisma.raw(`(octet_length(i."item"::text) + coalesce((
  SELECT sum(c."bytes") * 4 / 3 FROM "InlineContent" c WHERE c."responseItemKey" = i."key"), 0))::bigint`);

@Injectable()
export class ResponseRepository {
  private readonly inserts = new WriteGroup<NewRecord, void>((rows) => this.insertAll(rows));

  constructor(private readonly prisma: PrismaService) {}

  /** The response and its input, together with others that come in the same moment. */
  async insert({ request, input, body, createdAt, ...columns }: NewResponseRow): Promise<void> {
    const { output: _, ...stored } = body;
    const head = { ...columns, createdAt: createdAt.toISOString(), status: body.status };
    const texts: Texts = [JSON.stringify(request), JSON.stringify(stored), JSON.stringify(input)];
    const bytes = texts.reduce((sum, text) => sum + text.length, 0);
    await this.inserts.add({ head, texts }, bytes);
  }

  /** One statement, however many responses and items there are. */
  private async insertAll(rows: readonly NewRecord[]): Promise<void[]> {
    const [requests, bodies, inputs] = ([0, 1, 2] as const).map((at) => rows.map(({ texts }) => texts[at]));
    await this.prisma.$executeRaw`
      WITH given AS (
        SELECT * FROM ROWS FROM (
          json_to_recordset(${JSON.stringify(rows.map(({ head }) => head))}::json) AS (
            "id" text, "projectId" text, "keyId" text, "model" text, "background" boolean, "streamed" boolean,
            "previousResponseId" text, "conversationId" text, "callbackUrl" text, "createdAt" timestamp, "status" text),
          unnest(${requests}::text[]), unnest(${bodies}::text[]), unnest(${inputs}::text[])
        ) WITH ORDINALITY AS given ("id", "projectId", "keyId", "model", "background", "streamed", "previousResponseId",
          "conversationId", "callbackUrl", "createdAt", "status", "request", "body", "input", "number")
      ), response AS (
        INSERT INTO "Response" ("id", "projectId", "keyId", "model", "background", "streamed", "previousResponseId",
                                "conversationId", "callbackUrl", "createdAt", "status", "request", "body")
        SELECT "id", "projectId", "keyId", "model", "background", "streamed", "previousResponseId", "conversationId",
               "callbackUrl", "createdAt", "status"::"ResponseStatus", "request"::json, "body"::json
          FROM given ORDER BY "number"
        RETURNING "id"
      )
      INSERT INTO "ResponseItem" ("id", "responseId", "projectId", "kind", "position", "item")
      SELECT input.item ->> 'id', given."id", given."projectId", 'input', input.number - 1, input.item
        FROM given JOIN response USING ("id"),
             json_array_elements(given."input"::json) WITH ORDINALITY AS input (item, number)
       ORDER BY given."number", input.number`;
    return rows.map(() => undefined);
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
      SELECT "responseId" AS id, count(*) AS items, sum(${BYTES}) AS bytes
        FROM "ResponseItem" i WHERE "responseId" = ANY(${[...responseIds]}) GROUP BY "responseId"`;
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
      SELECT "key", "id", "responseId", "kind"::text AS kind,
             ${BYTES} AS bytes
        FROM "ResponseItem" i WHERE "responseId" = ANY(${[...responseIds]})
       ORDER BY i."kind", "position"`;
    return rows.map((row) => ({ ...row, bytes: Number(row.bytes) }));
  }

  /** The newest item of each id in the project's responses, for `item_reference`; without content. */
  async findItems(projectId: string, itemIds: readonly string[]): Promise<ItemHead[]> {
    const rows = await this.prisma.$queryRaw<(Omit<ItemHead, 'bytes'> & { bytes: bigint })[]>`
      SELECT DISTINCT ON (i."id") i."key", i."id", i."responseId", i."kind"::text AS kind,
             ${BYTES} AS bytes
        FROM "ResponseItem" i JOIN "Response" r ON r."id" = i."responseId"
       WHERE i."projectId" = ${projectId} AND i."id" = ANY(${[...itemIds]}) AND r."deletedAt" IS NULL
       ORDER BY i."id", i."key" DESC`;
    return rows.map((row) => ({ ...row, bytes: Number(row.bytes) }));
  }

  /** The items with these keys, in no particular order. */
  async itemsByKey(keys: readonly bigint[]): Promise<ResponseItemRow[]> {
    return this.prisma.responseItem.findMany({ where: { key: { in: [...keys] } } });
  }

  /** Its content is let go of at once; its rows go with the clean-up. */
  async markDeleted(id: string): Promise<boolean> {
    const [row] = await this.prisma.$queryRaw<object[]>`
      WITH deleted AS (
        UPDATE "Response" SET "deletedAt" = ${NOW} WHERE "id" = ${id} AND "deletedAt" IS NULL RETURNING "id"
      ), freed AS (
        DELETE FROM "InlineContent" c USING "ResponseItem" i, deleted
         WHERE i."responseId" = deleted."id" AND c."responseItemKey" = i."key"
      )
      SELECT "id" FROM deleted`;
    return row !== undefined;
  }

  outputOf(items: readonly ResponseItemRow[]): OutputItem[] {
    return items.filter((item) => item.kind === 'output').map((item) => item.item as unknown as OutputItem);
  }
}
