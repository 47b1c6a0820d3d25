/**
 * Forgets what is over. Every step looks at rows alone, may be repeated or cut off at any moment, and
 * takes small batches, so it does not get in the way of requests. `now` is a parameter throughout.
 */
import { Inject, Injectable, Logger } from '@nestjs/common';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { IdempotencyService } from '../idempotency/idempotency.service.js';
import { FilesService } from '../files/files.service.js';
import { BlobsService, type CollectedGarbage } from '../storage/blobs.service.js';
import { LinksService } from '../links/links.service.js';
import { UploadsService } from '../uploads/uploads.service.js';
import { OldUploads } from '../uploads/old-uploads.repository.js';
import { OldDeliveries } from '../webhooks/deliveries/old-deliveries.repository.js';
import { OldResponses } from '../responses/record/old-responses.repository.js';
import { OldConversations } from '../conversations/old-conversations.repository.js';
import { OldContainers } from '../containers/old-containers.repository.js';
import { AuthService } from '../auth/auth.service.js';
import { DatabaseClock } from '../database/clock.js';

const BATCH = 200;
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** Milliseconds after its end during which a response's stream can be resumed. */
const EVENTS_MS = 60 * MINUTE_MS;

/** Milliseconds after its end during which a container is looked at again, for what was written late. */
const EMPTIED_MS = 60 * MINUTE_MS;

const DELIVERY_DAYS = 30;
/** Days for which a revoked key is listed: who had access, and until when. */
const KEY_DAYS = 365;
/** Milliseconds a deleted conversation is left alone. */
const CONVERSATION_MS = 60 * MINUTE_MS;

/** Rows that went, or lost their content. */
export interface RetentionReport {
  readonly files: number;
  /** Links to files that expired a day ago. */
  readonly links: number;
  readonly uploads: number;
  readonly responses: number;
  readonly events: number;
  readonly conversations: number;
  readonly deliveries: number;
  readonly containerFiles: number;
  readonly executions: number;
  readonly containers: number;
  /** Replies kept for requests with an `Idempotency-Key`. */
  readonly replies: number;
  /** Keys that were revoked long ago. */
  readonly keys: number;
}

/** Repeats a bounded step until it finds less than it could take. */
async function inBatches(step: (take: number) => Promise<number>): Promise<number> {
  let total = 0;
  for (;;) {
    const count = await step(BATCH);
    total += count;
    if (count < BATCH) return total;
  }
}

const daysBefore = (now: Date, days: number): Date => new Date(now.getTime() - days * DAY_MS);
const isBusy = (report: object): boolean => Object.values(report).some((count) => Number(count) > 0);

@Injectable()
export class RetentionService {
  private readonly logger = new Logger(RetentionService.name);

  constructor(
    private readonly oldUploads: OldUploads,
    private readonly oldResponses: OldResponses,
    private readonly oldConversations: OldConversations,
    private readonly oldDeliveries: OldDeliveries,
    private readonly oldContainers: OldContainers,
    private readonly files: FilesService,
    private readonly links: LinksService,
    private readonly uploads: UploadsService,
    private readonly idempotency: IdempotencyService,
    private readonly blobs: BlobsService,
    private readonly auth: AuthService,
    private readonly clock: DatabaseClock,
    @Inject(ENV) private readonly env: Env,
  ) {}

  /** All steps on rows, in the order in which one makes work for the next. */
  async forget(now = this.clock.now()): Promise<RetentionReport> {
    const report: RetentionReport = {
      files: await this.forgetFiles(now),
      // For a day a person who opens one is told that it has expired.
      links: await inBatches((take) => this.links.forgetExpired(daysBefore(now, 1), take)),
      uploads: await this.forgetUploads(now),
      responses: await this.forgetResponses(now),
      events: await this.forgetEvents(now),
      conversations: await this.forgetConversations(now),
      deliveries: await this.forgetDeliveries(now),
      containerFiles: await this.forgetContainerFiles(),
      executions: await this.forgetExecutions(now),
      containers: await this.forgetContainers(now),
      replies: await inBatches((take) => this.idempotency.forgetOld(daysBefore(now, 1), take)),
      keys: await this.auth.forgetRevoked(daysBefore(now, KEY_DAYS)),
    };
    if (isBusy(report)) this.logger.log(report, 'forgot old records');
    return report;
  }

  /** Content that nothing refers to any more; `all` walks through everything, which the job does once a week. */
  async collectGarbage(all = false): Promise<CollectedGarbage> {
    const collected = await (all ? this.blobs.collectGarbage() : this.blobs.collectDue());
    if (isBusy(collected)) this.logger.log(collected, 'removed unused content');
    return collected;
  }

  forgetFiles(now: Date): Promise<number> {
    return this.files.expireDue(now);
  }

  /** Closes uploads that ran out, and drops those that ended long ago. */
  async forgetUploads(now: Date): Promise<number> {
    const closed = await this.uploads.expireDue(now);
    const before = daysBefore(now, this.env.CONTAINER_TOMBSTONE_DAYS);
    return closed + (await inBatches((take) => this.oldUploads.removeUploads(before, take)));
  }

  /** Deleted responses lose their content at once, all others go when their days are over. */
  async forgetResponses(now: Date): Promise<number> {
    const days = this.env.RESPONSE_RETENTION_DAYS;
    const before = daysBefore(now, days);
    const old = days === 0 ? 0 : await inBatches((take) => this.oldResponses.removeResponses(before, take));
    return old + (await inBatches((take) => this.oldResponses.emptyDeletedResponses(take)));
  }

  async forgetEvents(now: Date): Promise<number> {
    const before = new Date(now.getTime() - EVENTS_MS);
    let total = 0;
    for (;;) {
      const { seen, removed } = await this.oldResponses.removeEvents(before, BATCH);
      if (seen === 0) return total;
      total += removed;
    }
  }

  /** Deleted ones; a response that still writes to one gets the time to end. And those nobody used for long. */
  async forgetConversations(now: Date): Promise<number> {
    const before = new Date(now.getTime() - CONVERSATION_MS);
    const deleted = await inBatches((take) => this.oldConversations.removeDeletedConversations(before, take));
    return deleted + (await this.forgetOldConversations(now));
  }

  private async forgetOldConversations(now: Date): Promise<number> {
    const days = this.env.CONVERSATION_RETENTION_DAYS;
    if (days === 0) return 0;
    let total = 0;
    for (;;) {
      const { seen, removed } = await this.oldConversations.removeOldConversations(
        daysBefore(now, days),
        BATCH,
      );
      total += removed;
      if (seen < BATCH) return total;
    }
  }

  /** Webhook deliveries speak of responses, so they are kept as long, or a month where those are for ever. */
  forgetDeliveries(now: Date): Promise<number> {
    const days = this.env.RESPONSE_RETENTION_DAYS;
    const before = daysBefore(now, days === 0 ? DELIVERY_DAYS : days);
    return inBatches((take) => this.oldDeliveries.removeDeliveries(before, take));
  }

  async forgetContainerFiles(): Promise<number> {
    const removed = await inBatches((take) => this.oldContainers.removeUnreachableFiles(take));
    return removed + (await inBatches((take) => this.oldContainers.removeRemovedFiles(take)));
  }

  async forgetExecutions(now: Date): Promise<number> {
    const emptied = await inBatches((take) => this.oldContainers.emptyDeletedExecutions(take));
    const ended = new Date(now.getTime() - EMPTIED_MS);
    await inBatches((take) => this.oldContainers.markEmptied(ended, take));
    const before = this.tombstonesBefore(now);
    if (before === null) return emptied;
    return emptied + (await inBatches((take) => this.oldContainers.removeExecutions(before, take)));
  }

  async forgetContainers(now: Date): Promise<number> {
    const before = this.tombstonesBefore(now);
    return before === null ? 0 : inBatches((take) => this.oldContainers.removeContainers(before, take));
  }

  /** A container goes after every response that may cite its files; never, when those are kept for ever. */
  private tombstonesBefore(now: Date): Date | null {
    const { RESPONSE_RETENTION_DAYS: responses, CONTAINER_TOMBSTONE_DAYS: tombstone } = this.env;
    return responses === 0 ? null : daysBefore(now, Math.max(responses, tombstone));
  }
}
