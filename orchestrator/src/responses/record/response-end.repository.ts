/** The one way in which a response ends, whoever ends it: what is written together, in one transaction. */
import { Injectable } from '@nestjs/common';
import type { Prisma } from '../../database/generated/client.js';
import { toJson } from '../../database/json.js';
import { PrismaService } from '../../database/prisma.service.js';
import { NOW } from '../../database/sql.js';
import { WriteGroup } from '../../database/write-group.js';
import type { EventType } from '../../outbox/event.types.js';
import { type Announcement, OutboxRepository } from '../../outbox/outbox.repository.js';
import { sourcesOf } from './response.state.js';
import type { ResponseObject, ResponseStatus, StreamEvent } from '../response.types.js';

export interface EndOptions {
  /** Only if this attempt still has it. */
  readonly attempt?: number;
  /** Only from this state; else from every state that may end so. */
  readonly from?: ResponseStatus;
  /** The last events, for a stream that can be resumed. */
  readonly events?: readonly StreamEvent[];
}

interface EndedRow {
  readonly id: string;
  readonly projectId: string;
  readonly callbackUrl: string | null;
}

interface End {
  readonly response: ResponseObject;
  readonly options: EndOptions;
  /** The body as it is stored, and the output items, as JSON. */
  readonly body: string;
  readonly output: string;
}

@Injectable()
export class ResponseEndRepository {
  private readonly group = new WriteGroup<End, boolean>((ends) => this.endAll(ends));

  constructor(
    private readonly prisma: PrismaService,
    private readonly outbox: OutboxRepository,
  ) {}

  /**
   * Writes status, body, output and last events, adds the turn to the conversation and unlocks it, and
   * announces the end. False, and nothing is changed, when it had ended before or somebody else has it.
   */
  async end(response: ResponseObject, options: EndOptions = {}): Promise<boolean> {
    const { output, ...rest } = response;
    const end = { response, options, body: JSON.stringify(rest), output: JSON.stringify(output) };
    const isPlain = response.conversation === undefined && options.events === undefined;
    if (isPlain) return this.group.add(end, end.body.length + end.output.length);
    const [ended] = await this.endAll([end]);
    return ended!;
  }

  /** In one transaction. Those that write more rows than their own come one at a time, and lock none of the others. */
  private async endAll(ends: readonly End[]): Promise<boolean[]> {
    const { rows, told } = await this.prisma.$transaction(async (tx) => {
      const ended = new Map((await setEnds(tx, ends)).map((row) => [row.id, row]));
      for (const { response, options } of ends) {
        if (!ended.has(response.id)) continue;
        await insertEvents(tx, response.id, options.events ?? []);
        await endTurn(tx, response);
      }
      return { rows: ended, told: await this.outbox.announce(tx, announcementsOf(ends, ended)) };
    });
    this.outbox.wake(told);
    return ends.map(({ response }) => rows.has(response.id));
  }
}

const announcementsOf = (ends: readonly End[], rows: ReadonlyMap<string, EndedRow>): Announcement[] =>
  ends.flatMap(({ response }) => {
    const row = rows.get(response.id);
    if (!row) return [];
    const { projectId, callbackUrl } = row;
    return [{ projectId, type: `response.${response.status}` as EventType, subjectId: row.id, callbackUrl }];
  });

/** Status, body and output items of those that may end so; locked in the order of their ids, like everywhere. */
async function setEnds(tx: Prisma.TransactionClient, ends: readonly End[]): Promise<EndedRow[]> {
  const heads = ends.map(({ response: { id, status }, options: { attempt, from } }) => {
    const sources = sourcesOf(status).filter((source) => from === undefined || source === from);
    return { id, status, attempt: attempt ?? null, sources };
  });
  return tx.$queryRaw<EndedRow[]>`
    WITH given AS (
      SELECT * FROM ROWS FROM (
        json_to_recordset(${JSON.stringify(heads)}::json) AS ("id" text, "status" text, "attempt" int, "sources" text[]),
        unnest(${ends.map(({ body }) => body)}::text[]), unnest(${ends.map(({ output }) => output)}::text[])
      ) AS given ("id", "status", "attempt", "sources", "body", "output")
    ), locked AS (
      SELECT given.* FROM given JOIN "Response" r USING ("id")
       WHERE r."status"::text = ANY(given."sources") AND (given."attempt" IS NULL OR r."attempt" = given."attempt")
       ORDER BY r."id" FOR UPDATE OF r
    ), ended AS (
      UPDATE "Response" r
         SET "status" = locked."status"::"ResponseStatus", "body" = locked."body"::json,
             "completedAt" = ${NOW}, "leaseUntil" = NULL, "turn" = NULL
        FROM locked WHERE r."id" = locked."id"
      RETURNING r."id", r."projectId", r."callbackUrl"
    ), items AS (
      INSERT INTO "ResponseItem" ("id", "responseId", "projectId", "kind", "position", "item")
      SELECT output.item ->> 'id', ended."id", ended."projectId", 'output', output.number - 1, output.item
        FROM ended JOIN locked USING ("id"),
             json_array_elements(locked."output"::json) WITH ORDINALITY AS output (item, number)
    )
    SELECT * FROM ended`;
}

async function insertEvents(
  tx: Prisma.TransactionClient,
  responseId: string,
  events: readonly StreamEvent[],
): Promise<void> {
  if (events.length === 0) return;
  const data = events.map((event) => ({
    responseId,
    sequenceNumber: event.sequence_number,
    event: toJson(event),
  }));
  await tx.responseEvent.createMany({ data, skipDuplicates: true });
}

/** Puts all items of the response at the end of its conversation, if it has one, and unlocks that. */
async function endTurn(tx: Prisma.TransactionClient, response: ResponseObject): Promise<void> {
  if (!response.conversation) return;
  if (!leavesNothing(response)) await addTurn(tx, response.conversation.id, response);
  await tx.conversation.updateMany({
    where: { id: response.conversation.id, lockedBy: response.id },
    data: { lockedBy: null, lockedUntil: null },
  });
}

async function addTurn(
  tx: Prisma.TransactionClient,
  conversationId: string,
  { id: responseId, output }: ResponseObject,
): Promise<void> {
  const input = await tx.responseItem.findMany({
    where: { responseId, kind: 'input' },
    orderBy: { position: 'asc' },
  });
  await tx.conversationItem.createMany({
    data: [...input, ...output.map((item) => ({ id: item.id, item: toJson(item) }))].map(({ id, item }) => ({
      id,
      conversationId,
      item: toJson(item),
    })),
    skipDuplicates: true,
  });
}

/**
 * It failed, or was cancelled while it waited, before anything was said: what was asked is not part of the
 * conversation, so it can be asked again.
 */
export const leavesNothing = (response: ResponseObject): boolean =>
  (response.status === 'failed' || response.status === 'cancelled') && response.output.length === 0;
