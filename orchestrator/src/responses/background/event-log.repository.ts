import { Injectable } from '@nestjs/common';
import type { Prisma, Response } from '../../database/generated/client.js';
import { PrismaService } from '../../database/prisma.service.js';
import { toJson } from '../../database/json.js';
import { OutboxRepository } from '../../outbox/outbox.repository.js';
import { announceEnd, ENDED, unlockConversation, writeOutput } from '../response-end.repository.js';
import type { ResponseObject, StreamEvent } from '../response.types.js';

/** Another process runs this response now, or it has ended: whoever gets this stops at once. */
export class FencedError extends Error {
  override readonly name = 'FencedError';
}

export interface Claim {
  readonly row: Response;
  /** In the WHERE of every later write; a newer claim makes this one's writes fail. */
  readonly attempt: number;
}

/** Seconds a claim holds without a heartbeat. */
export const LEASE_SECONDS = 15;

@Injectable()
export class EventLogRepository {
  constructor(
    private readonly prisma: PrismaService,
    private readonly outbox: OutboxRepository,
  ) {}

  /** Takes a response that waits, or whose runner went silent; null when there is nothing to take. */
  async claim(id: string): Promise<Claim | null> {
    const now = new Date();
    const [row] = await this.prisma.response.updateManyAndReturn({
      where: {
        id,
        background: true,
        deletedAt: null,
        OR: [{ status: 'queued' }, { status: 'in_progress', leaseUntil: { lt: now } }],
      },
      data: { status: 'in_progress', attempt: { increment: 1 }, leaseUntil: leaseEnd(now) },
    });
    return row ? { row, attempt: row.attempt } : null;
  }

  /** Whose run it is, and how many of these may run at the same time; null when nobody waits for it. */
  async slotOf(id: string): Promise<{ key: string; limit: number | null } | null> {
    const row = await this.prisma.response.findFirst({
      where: { id, status: { in: ['queued', 'in_progress'] } },
      select: { keyId: true, projectId: true, project: { select: { concurrentRuns: true } } },
    });
    return row && { key: row.keyId ?? row.projectId, limit: row.project.concurrentRuns };
  }

  /** The oldest that waits for a slot of this key. */
  async nextQueued(key: string): Promise<string | null> {
    const row = await this.prisma.response.findFirst({
      where: {
        background: true,
        status: 'queued',
        deletedAt: null,
        OR: [{ keyId: key }, { keyId: null, projectId: key }],
      },
      orderBy: { seq: 'asc' },
      select: { id: true },
    });
    return row?.id ?? null;
  }

  /** Keeps the claim; tells whether the caller asked to cancel. Throws {@link FencedError} when it is lost. */
  async heartbeat(id: string, attempt: number): Promise<{ cancelRequested: boolean }> {
    const [row] = await this.prisma.response.updateManyAndReturn({
      where: { id, attempt, status: 'in_progress' },
      data: { leaseUntil: leaseEnd(new Date()) },
      select: { cancelRequestedAt: true },
    });
    if (!row) throw new FencedError(`response ${id} belongs to another attempt than ${attempt}`);
    return { cancelRequested: row.cancelRequestedAt !== null };
  }

  /** Gives the claim back, so that another process may take the response at once. */
  async release(id: string, attempt: number): Promise<void> {
    await this.prisma.response.updateMany({
      where: { id, attempt, status: 'in_progress' },
      data: { leaseUntil: new Date(0) },
    });
  }

  /** Appends events under the claim; the terminal one together with the response's end. */
  async append(
    id: string,
    attempt: number,
    events: readonly StreamEvent[],
    end: ResponseObject | null,
  ): Promise<void> {
    const told = await this.prisma.$transaction(async (tx) => {
      const [row] = await tx.response.updateManyAndReturn({
        where: { id, attempt, status: 'in_progress' },
        data: end ? endOf(end) : { leaseUntil: leaseEnd(new Date()) },
        select: ENDED,
      });
      if (!row) throw new FencedError(`response ${id} belongs to another attempt than ${attempt}`);
      await insertEvents(tx, id, events);
      if (!end) return [];
      await writeOutput(tx, row.projectId, end);
      return announceEnd(tx, this.outbox, row);
    });
    this.outbox.wake(told);
  }

  /** Ends a response that nobody runs (cancelled while queued); false when somebody took it meanwhile. */
  async endQueued(response: ResponseObject, events: readonly StreamEvent[]): Promise<boolean> {
    const told = await this.prisma.$transaction(async (tx) => {
      const [row] = await tx.response.updateManyAndReturn({
        where: { id: response.id, status: 'queued' },
        data: endOf(response),
        select: ENDED,
      });
      if (!row) return null;
      await insertEvents(tx, response.id, events);
      await unlockConversation(tx, response.id);
      return announceEnd(tx, this.outbox, row);
    });
    this.outbox.wake(told ?? []);
    return told !== null;
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

  async requestCancel(id: string): Promise<void> {
    await this.prisma.response.updateMany({ where: { id }, data: { cancelRequestedAt: new Date() } });
  }

  /** Background responses that wait, or whose runner went silent; not those that wait for a slot of these keys. */
  async abandoned(busyKeys: readonly string[]): Promise<{ id: string; projectId: string }[]> {
    return this.prisma.response.findMany({
      where: {
        background: true,
        deletedAt: null,
        OR: [
          { status: 'queued', OR: [{ keyId: null }, { keyId: { notIn: [...busyKeys] } }] },
          { status: 'in_progress', leaseUntil: { lt: new Date() } },
        ],
      },
      select: { id: true, projectId: true },
      take: 100,
    });
  }
}

async function insertEvents(
  tx: Prisma.TransactionClient,
  responseId: string,
  events: readonly StreamEvent[],
): Promise<void> {
  await tx.responseEvent.createMany({
    data: events.map((event) => ({
      responseId,
      sequenceNumber: event.sequence_number,
      event: toJson(event),
    })),
  });
}

const leaseEnd = (now: Date): Date => new Date(now.getTime() + LEASE_SECONDS * 1000);

function endOf(response: ResponseObject) {
  const { output: _, ...body } = response;
  return {
    status: response.status,
    body: toJson(body),
    leaseUntil: null,
    completedAt: response.completed_at === null ? null : new Date(response.completed_at * 1000),
  };
}
