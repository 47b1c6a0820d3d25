/** What was sent, to whom, and what came of it; for the admin API. */
import { Injectable, Logger } from '@nestjs/common';
import { ApiError, notFound } from '../../common/api-error.js';
import { type Page, toPage } from '../../common/pagination.js';
import { toUnix, toUnixOrNull } from '../../common/time.js';
import { WebhookEndpointRepository } from '../endpoints/webhook-endpoint.repository.js';
import { DeliveriesService } from './deliveries.service.js';
import { DeliveryRepository, type DeliveryRow } from './delivery.repository.js';
import type { DeliveryObject, DeliveryWithAttempts, ListDeliveriesQuery } from './delivery.schema.js';

@Injectable()
export class DeliveryLogService {
  private readonly logger = new Logger(DeliveryLogService.name);

  constructor(
    private readonly deliveries: DeliveryRepository,
    private readonly endpoints: WebhookEndpointRepository,
    private readonly sending: DeliveriesService,
  ) {}

  async list(query: ListDeliveriesQuery): Promise<Page<DeliveryObject>> {
    const after = query.after === undefined ? undefined : await this.deliveries.find(query.after);
    if (after === null) throw notFound.cursor();
    const rows = await this.deliveries.list({
      projectId: query.project_id,
      endpointId: query.endpoint_id,
      subjectId: query.subject_id,
      eventType: query.event_type,
      status: query.status,
      afterSeq: after?.seq,
      limit: query.limit + 1,
      order: query.order,
    });
    return toPage(rows, query.limit, present);
  }

  async retrieve(id: string): Promise<DeliveryWithAttempts> {
    const row = await this.find(id);
    const attempts = await this.deliveries.attempts(id);
    return {
      ...present(row),
      attempts: attempts.map(({ number, startedAt, durationMs, status, error, answer }) => ({
        number,
        started_at: toUnix(startedAt),
        duration_ms: durationMs,
        status_code: status,
        error,
        answer,
      })),
    };
  }

  /** Sends it again, delivered or not, with the whole schedule before it. */
  async redeliver(id: string): Promise<DeliveryObject> {
    const row = await this.find(id);
    await this.refuseIfDisabled(row);
    if (!(await this.deliveries.restart(id))) {
      throw new ApiError('invalid_request', 'This delivery is being tried at this moment.');
    }
    this.logger.log({ deliveryId: id, projectId: row.projectId }, 'webhook sent again by the operator');
    await this.sending.enqueue([id]);
    return present(await this.find(id));
  }

  private async refuseIfDisabled(row: DeliveryRow): Promise<void> {
    if (row.endpointId === null) return;
    const endpoint = await this.endpoints.find(row.projectId, row.endpointId);
    if (!endpoint?.disabledAt) return;
    throw new ApiError('invalid_request', 'The endpoint of this delivery is disabled. Enable it first.');
  }

  private async find(id: string): Promise<DeliveryRow> {
    const row = await this.deliveries.find(id);
    if (!row) throw new ApiError('not_found', `Webhook delivery with id '${id}' not found.`);
    return row;
  }
}

/** `https://host/path?token=x` → `https://host/path?…` */
const withoutQuery = (url: string): string => url.replace(/\?.*$/s, '?…');

function present(row: DeliveryRow): DeliveryObject {
  return {
    id: row.id,
    object: 'webhook_delivery',
    project_id: row.projectId,
    endpoint_id: row.endpointId,
    url: withoutQuery(row.url),
    event_id: row.eventId,
    event_type: row.eventType,
    subject_id: row.subjectId,
    status: row.status,
    attempt_count: row.attempts,
    next_attempt_at: row.status === 'pending' ? toUnix(row.nextAttemptAt) : null,
    last_status_code: row.lastStatus,
    last_error: row.lastError,
    created_at: toUnix(row.createdAt),
    delivered_at: toUnixOrNull(row.deliveredAt),
  };
}
