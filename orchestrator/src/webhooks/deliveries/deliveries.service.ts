/**
 * Sends what the outbox holds. The job delivers, the row decides: whoever claims the row makes one try and
 * writes down what came of it. A process that dies in between loses its claim, and the event is sent again
 * under the same id.
 */
import { Inject, Injectable, Logger } from '@nestjs/common';
import { ENV } from '../../config/config.module.js';
import type { Env } from '../../config/env.schema.js';
import { Metrics } from '../../observability/metrics.service.js';
import { JobScheduler } from '../../queues/job-scheduler.js';
import { QUEUES } from '../../queues/queue-names.js';
import { signedHeaders } from '../signing/signature.js';
import { type ClaimedDelivery, DeliveryRepository } from './delivery.repository.js';
import { judge, type Verdict } from './delivery.state.js';
import type { Outcome } from './delivery.types.js';
import { DeliverySecrets } from './delivery-secrets.js';
import { WebhookSender } from './webhook-sender.js';

export const DELIVER = 'deliver-webhook';

/** Milliseconds a claim holds beyond the time a try may take. */
const LEASE_SLACK_MS = 10_000;
/** Milliseconds a delivery may be late before it is taken for forgotten. */
const LATE_MS = 2_000;
/** Tries at one receiver at the same time, so that a slow one does not keep others waiting. */
const PARALLEL = 4;
const SWEEP_EACH = 20;
const SWEEP_TAKE = 200;
/** Milliseconds in which the sweep asks for a delivery once. */
const SWEEP_TURN_MS = 10_000;

const DISABLED_REASON = 'The endpoint is disabled.';

@Injectable()
export class DeliveriesService {
  private readonly logger = new Logger(DeliveriesService.name);
  /** Tries under way, by receiver. */
  private readonly busy = new Map<string, number>();
  /** Receivers of which a delivery was put off because they were busy. */
  private readonly putOff = new Set<string>();

  constructor(
    private readonly deliveries: DeliveryRepository,
    private readonly secrets: DeliverySecrets,
    private readonly sender: WebhookSender,
    private readonly jobs: JobScheduler,
    private readonly metrics: Metrics,
    @Inject(ENV) private readonly env: Env,
  ) {}

  /** Called when deliveries were written. They are sent even if this fails: the sweep finds them. */
  async enqueue(deliveryIds: readonly string[]): Promise<void> {
    try {
      for (const id of deliveryIds) await this.add(id, 'new', 0);
    } catch (error) {
      this.logger.warn({ err: error }, 'webhook deliveries could not be queued; the sweep takes them');
    }
  }

  /** Enqueues what is due and has no job; called by the sweep. */
  async takeUpForgotten(lateMs = LATE_MS): Promise<number> {
    const rows = await this.deliveries.overdue(lateMs, SWEEP_EACH, SWEEP_TAKE);
    // A job of a dead process seems to run until the queue notices, so its id cannot be waited for.
    const turn = Math.floor(Date.now() / SWEEP_TURN_MS);
    for (const { id, attempts } of rows) await this.add(id, `${attempts}-${turn}`, 0);
    return rows.length;
  }

  /** The job: one try, if it is due and nobody else makes it. */
  async deliver(id: string): Promise<void> {
    const waiting = await this.deliveries.find(id);
    if (waiting?.status !== 'pending') return;
    const receiver = waiting.endpointId ?? new URL(waiting.url).host;
    const running = this.busy.get(receiver) ?? 0;
    if (running >= PARALLEL) {
      this.putOff.add(receiver);
      return;
    }
    this.busy.set(receiver, running + 1);
    try {
      const claimed = await this.deliveries.claim(id, this.env.WEBHOOK_TIMEOUT_MS + LEASE_SLACK_MS);
      if (claimed) await this.attempt(claimed);
    } finally {
      this.letGo(receiver);
    }
  }

  private letGo(receiver: string): void {
    const running = (this.busy.get(receiver) ?? 1) - 1;
    if (running > 0) this.busy.set(receiver, running);
    else this.busy.delete(receiver);
    if (!this.putOff.delete(receiver)) return;
    this.takeUpForgotten(0).catch((error: unknown) => {
      this.logger.warn({ err: error }, 'webhook deliveries that were put off wait for the sweep');
    });
  }

  private async attempt(claimed: ClaimedDelivery): Promise<void> {
    const { row, endpoint } = claimed;
    if (endpoint?.disabledAt) return this.deliveries.fail(row.id, DISABLED_REASON);
    const url = endpoint?.url ?? row.url;
    const outcome = await this.send(claimed, url);
    const verdict = judge(outcome, row.attempts - row.attemptsBefore, this.env.WEBHOOK_MAX_ATTEMPTS);
    const written = await this.deliveries.finish(row, url, outcome, verdict);
    if (!written) return;
    this.tell(claimed, outcome, verdict);
    if (verdict.status === 'pending') await this.add(row.id, String(row.attempts), verdict.delayMs);
  }

  private async send(claimed: ClaimedDelivery, url: string): Promise<Outcome> {
    const { row } = claimed;
    const body = JSON.stringify(row.payload);
    const now = new Date();
    try {
      const secrets = await this.secrets.of(claimed, now);
      return await this.sender.post(url, { ...signedHeaders(secrets, row.id, now, body) }, body);
    } catch (error) {
      const { message } = error as Error;
      return { kind: 'unsigned', startedAt: now, durationMs: 0, status: null, error: message, answer: null };
    }
  }

  /** URLs may hold tokens, so they are not in the log. */
  private tell({ row }: ClaimedDelivery, outcome: Outcome, verdict: Verdict): void {
    this.metrics.webhookTried(outcome.kind, outcome.durationMs);
    if (verdict.status !== 'pending') this.metrics.webhookEnded(verdict.status);
    const { id, projectId, endpointId, eventType, attempts } = row;
    const facts = { deliveryId: id, projectId, endpointId, eventType, attempts };
    if (verdict.status === 'failed') this.logger.warn({ ...facts, error: outcome.error }, 'webhook given up');
    else this.logger.debug({ ...facts, status: outcome.status }, `webhook ${verdict.status}`);
  }

  /** One job for the same reason, however often it is asked for. */
  private async add(id: string, reason: string, delayMs: number): Promise<void> {
    const jobId = `${id}-${reason}`;
    await this.jobs.add(QUEUES.webhooks, DELIVER, { deliveryId: id }, { jobId, delayMs });
  }
}
