/** What is written together with the end of a response, in the same transaction. */
import type { Prisma } from '../database/generated/client.js';
import { toJson } from '../database/json.js';
import type { EventType } from '../outbox/event.types.js';
import type { OutboxRepository } from '../outbox/outbox.repository.js';
import type { ResponseObject } from './response.types.js';

/** The output items; and all items of the response at the end of its conversation, if it has one. */
export async function writeOutput(
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
  if (leavesNothing(response)) {
    await unlockConversation(tx, responseId);
    return;
  }
  const conversationId = response.conversation.id;
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
  await unlockConversation(tx, responseId);
}

/** It failed before anything was said: what was asked is not part of the conversation, so it can be asked again. */
export const leavesNothing = (response: ResponseObject): boolean =>
  response.status === 'failed' && response.output.length === 0;

/** Columns that say whom to tell of an end. */
export const ENDED = { id: true, projectId: true, status: true, callbackUrl: true } as const;

/** Writes down who is told that it has ended; wake the outbox with what comes back, after the commit. */
export async function announceEnd(
  tx: Prisma.TransactionClient,
  outbox: OutboxRepository,
  row: { id: string; projectId: string; status: string; callbackUrl: string | null },
): Promise<readonly string[]> {
  const { id: subjectId, projectId, callbackUrl } = row;
  const type = `response.${row.status}` as EventType;
  return outbox.announce(tx, [{ projectId, type, subjectId, callbackUrl }]);
}

/** Lets the next response work on the conversation. */
export async function unlockConversation(tx: Prisma.TransactionClient, responseId: string): Promise<void> {
  await tx.conversation.updateMany({
    where: { lockedBy: responseId },
    data: { lockedBy: null, lockedUntil: null },
  });
}
