import { Injectable } from '@nestjs/common';
import type { Response, ResponseItem } from '../database/generated/client.js';
import { PrismaService } from '../database/prisma.service.js';
import { toJson } from '../database/json.js';
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

@Injectable()
export class ResponseRepository {
  constructor(private readonly prisma: PrismaService) {}

  async insert(row: NewResponseRow): Promise<void> {
    const { input, request, body, ...columns } = row;
    const { output: _, ...stored } = body;
    await this.prisma.response.create({
      data: {
        ...columns,
        status: body.status,
        request: toJson(request),
        body: toJson(stored),
        items: {
          create: input.map((item, position) => ({
            id: item.id,
            projectId: row.projectId,
            kind: 'input' as const,
            position,
            item: toJson(item),
          })),
        },
      },
    });
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

  /** The response and those before it, newest first; ends where one was deleted. */
  async chain(projectId: string, id: string): Promise<ResponseRow[]> {
    return this.prisma.$queryRaw<ResponseRow[]>`
      WITH RECURSIVE chain AS (
        SELECT r.*, 0 AS depth FROM "Response" r WHERE r."id" = ${id} AND r."projectId" = ${projectId} AND r."deletedAt" IS NULL
        UNION ALL
        SELECT r.*, chain.depth + 1 FROM "Response" r JOIN chain ON r."id" = chain."previousResponseId"
         WHERE r."projectId" = ${projectId} AND r."deletedAt" IS NULL
      )
      SELECT * FROM chain ORDER BY depth`;
  }

  async itemsOf(responseIds: readonly string[]): Promise<ResponseItemRow[]> {
    return this.prisma.responseItem.findMany({
      where: { responseId: { in: [...responseIds] } },
      orderBy: [{ kind: 'asc' }, { position: 'asc' }],
    });
  }

  /** The newest item of this id in the project's responses, for `item_reference`. */
  async findItem(projectId: string, itemId: string): Promise<ResponseItemRow | null> {
    return this.prisma.responseItem.findFirst({
      where: { id: itemId, projectId, response: { deletedAt: null } },
      orderBy: { key: 'desc' },
    });
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
