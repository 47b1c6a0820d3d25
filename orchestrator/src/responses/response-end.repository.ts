/** The one way in which a response ends, whoever ends it: what is written together, in one transaction. */
import { Injectable } from '@nestjs/common';
import type { Prisma } from '../database/generated/client.js';
import { toJson } from '../database/json.js';
import { PrismaService } from '../database/prisma.service.js';
import { NOW } from '../database/sql.js';
import type { EventType } from '../outbox/event.types.js';
import { OutboxRepository } from '../outbox/outbox.repository.js';
import { sourcesOf } from './response.state.js';
import type { ResponseObject, ResponseStatus, StreamEvent } from './response.types.js';

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

@Injectable()
export class ResponseEndRepository {
  constructor(
    private readonly prisma: PrismaService,
    private readonly outbox: OutboxRepository,
  ) {}

  /**
   * Writes status, body, output and last events, adds the turn to the conversation and unlocks it, and
   * announces the end. False, and nothing is changed, when it had ended before or somebody else has it.
   */
  async end(response: ResponseObject, options: EndOptions = {}): Promise<boolean> {
    const told = await this.prisma.$transaction(async (tx) => {
      const row = await setEnd(tx, response, options);
      if (!row) return null;
      await insertEvents(tx, response.id, options.events ?? []);
      await writeOutput(tx, row.projectId, response);
      const type = `response.${response.status}` as EventType;
      const { projectId, callbackUrl } = row;
      return this.outbox.announce(tx, [{ projectId, type, subjectId: row.id, callbackUrl }]);
    });
    this.outbox.wake(told ?? []);
    return told !== null;
  }
}

async function setEnd(
  tx: Prisma.TransactionClient,
  response: ResponseObject,
  { attempt, from }: EndOptions,
): Promise<EndedRow | undefined> {
  const { output: _, ...body } = response;
  const sources = sourcesOf(response.status).filter((status) => from === undefined || status === from);
  const [row] = await tx.$queryRaw<EndedRow[]>`
    UPDATE "Response"
       SET "status" = ${response.status}::"ResponseStatus", "body" = ${JSON.stringify(body)}::json,
           "completedAt" = ${NOW}, "leaseUntil" = NULL, "turn" = NULL
     WHERE "id" = ${response.id} AND "status"::text = ANY(${sources})
       AND (${attempt ?? null}::int IS NULL OR "attempt" = ${attempt ?? null}::int)
    RETURNING "id", "projectId", "callbackUrl"`;
  return row;
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

/** The output items; and all items of the response at the end of its conversation, if it has one. */
async function writeOutput(
  tx: Prisma.TransactionClient,
  projectId: string,
  response: ResponseObject,
): Promise<void> {
  const { id: responseId, output } = response;
  await tx.responseItem.deleteMany({ where: { responseId, kind: 'output' } });
  await tx.responseItem.createMany({
    data: output.map((item, position) => ({
      id: item.id,
      responseId,
      projectId,
      kind: 'output' as const,
      position,
      item: toJson(item),
    })),
  });
  if (!response.conversation) return;
  if (!leavesNothing(response)) await addTurn(tx, response.conversation.id, response);
  await tx.conversation.updateMany({
    where: { id: response.conversation.id, lockedBy: responseId },
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
