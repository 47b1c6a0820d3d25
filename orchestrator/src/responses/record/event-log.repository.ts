/** The events of background responses: written under a claim, read by any number of followers. */
import { Injectable } from '@nestjs/common';
import { PrismaService } from '../../database/prisma.service.js';
import { ResponseEndRepository } from './response-end.repository.js';
import { FencedError, type Waiting } from './response-lease.repository.js';
import { open } from './response.state.js';
import type { ResponseObject, ResponseStatus, StreamEvent } from '../response.types.js';
import type { TurnEnd } from './turn-end.js';

/** What is written at once. */
export interface Batch {
  readonly events: readonly StreamEvent[];
  /** The newest end of a turn of the model, if one came. */
  readonly turn: TurnEnd | null;
  /** Comes with the terminal event. */
  readonly end: ResponseObject | null;
}

/** What a background response has to wait for. */
export interface Slot {
  /** Of the API key, or of the project. */
  readonly key: string;
  /** How many of the key's may run at the same time; null for what holds for all. */
  readonly limit: number | null;
  /** Its place in the order of the key's; null once it has run, for then it goes on. */
  readonly turn: bigint | null;
}

@Injectable()
export class EventLogRepository {
  constructor(
    private readonly prisma: PrismaService,
    private readonly ends: ResponseEndRepository,
  ) {}

  /** Whose run it is, and how many of these may run at the same time; null when nobody waits for it. */
  async slotOf(id: string): Promise<Slot | null> {
    const row = await this.prisma.response.findFirst({
      where: { id, status: { in: open() } },
      select: {
        keyId: true,
        projectId: true,
        seq: true,
        status: true,
        project: { select: { concurrentRuns: true } },
      },
    });
    if (!row) return null;
    const { keyId, projectId, seq, status, project } = row;
    return { key: keyId ?? projectId, limit: project.concurrentRuns, turn: status === 'queued' ? seq : null };
  }

  /** The oldest that waits for a slot of this key, before `turn` if that is given; `starting` have theirs. */
  async nextQueued(key: string, turn?: bigint, starting: readonly string[] = []): Promise<Waiting | null> {
    return this.prisma.response.findFirst({
      where: {
        background: true,
        status: 'queued',
        deletedAt: null,
        OR: [{ keyId: key }, { keyId: null, projectId: key }],
        ...(starting.length === 0 ? {} : { id: { notIn: [...starting] } }),
        ...(turn === undefined ? {} : { seq: { lt: turn } }),
      },
      orderBy: { seq: 'asc' },
      select: { id: true, attempt: true },
    });
  }

  /**
   * Appends under the claim; the terminal event together with the response's end. Doing it again changes
   * nothing. Throws {@link FencedError} when the claim is lost.
   */
  async append(id: string, attempt: number, { events, turn, end }: Batch): Promise<void> {
    const written = end
      ? await this.ends.end(end, { attempt, events })
      : await this.insert(id, attempt, events, turn);
    if (!written) throw new FencedError(id, attempt);
  }

  /** Ends a response that nobody runs (cancelled while queued); false when somebody took it meanwhile. */
  async endQueued(response: ResponseObject, events: readonly StreamEvent[]): Promise<boolean> {
    return this.ends.end(response, { from: 'queued', events });
  }

  async read(id: string, after: number, limit: number): Promise<StreamEvent[]> {
    const rows = await this.prisma.responseEvent.findMany({
      where: { responseId: id, sequenceNumber: { gt: after } },
      orderBy: { sequenceNumber: 'asc' },
      take: limit,
    });
    return rows.map((row) => row.event as unknown as StreamEvent);
  }

  async hasEvents(id: string): Promise<boolean> {
    return (
      (await this.prisma.responseEvent.findFirst({
        where: { responseId: id },
        select: { sequenceNumber: true },
      })) !== null
    );
  }

  /** Null when the project has no such response, or not any more. */
  async statusOf(projectId: string, id: string): Promise<ResponseStatus | null> {
    const row = await this.prisma.response.findFirst({
      where: { id, projectId, deletedAt: null },
      select: { status: true },
    });
    return row?.status ?? null;
  }

  async requestCancel(id: string): Promise<void> {
    await this.prisma.response.updateMany({ where: { id }, data: { cancelRequestedAt: new Date() } });
  }

  /** One statement: the row is locked against another claim until the events are there. */
  private async insert(
    id: string,
    attempt: number,
    events: readonly StreamEvent[],
    turn: TurnEnd | null,
  ): Promise<boolean> {
    const numbers = events.map((event) => event.sequence_number);
    const texts = events.map((event) => JSON.stringify(event));
    const told = turn && JSON.stringify(turn);
    const [found] = await this.prisma.$queryRaw<{ count: bigint }[]>`
      WITH locked AS (
        SELECT "id" FROM "Response" WHERE "id" = ${id} AND "attempt" = ${attempt} AND "status" = 'in_progress' FOR UPDATE
      ), told AS (
        UPDATE "Response" r SET "turn" = ${told}::json FROM locked WHERE r."id" = locked."id" AND ${told}::text IS NOT NULL
      ), added AS (
        INSERT INTO "ResponseEvent" ("responseId", "sequenceNumber", "event")
        SELECT locked."id", e."number", e."text"::json
          FROM locked, unnest(${numbers}::int[], ${texts}::text[]) AS e("number", "text")
        ON CONFLICT DO NOTHING
      )
      SELECT count(*) AS count FROM locked`;
    return (found?.count ?? 0n) > 0n;
  }
}
