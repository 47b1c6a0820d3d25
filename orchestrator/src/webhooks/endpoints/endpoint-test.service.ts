/** Sends a made-up event at once, so that the owner of an endpoint sees whether it works. */
import { Injectable } from '@nestjs/common';
import { ApiError, notFound } from '../../common/api-error.js';
import { newId } from '../../common/ids.js';
import { newEvent } from '../../outbox/event.js';
import type { EventType, OutboxEvent } from '../../outbox/event.types.js';
import { WebhookSender } from '../deliveries/webhook-sender.js';
import { signedHeaders } from '../signing/signature.js';
import { SigningSecrets } from '../signing/signing-secrets.js';
import { WebhookEndpointRepository } from './webhook-endpoint.repository.js';
import type { EndpointTestResult } from './webhook-endpoint.schema.js';

@Injectable()
export class EndpointTestService {
  constructor(
    private readonly endpoints: WebhookEndpointRepository,
    private readonly secrets: SigningSecrets,
    private readonly sender: WebhookSender,
  ) {}

  /** One try, also at a disabled endpoint; not in the log of deliveries, and not tried again. */
  async test(projectId: string, id: string, type: EventType): Promise<EndpointTestResult> {
    const row = await this.endpoints.find(projectId, id);
    if (!row) throw notFound.webhookEndpoint(id);
    const now = new Date();
    const body = JSON.stringify(sampleOf(type, now));
    const secrets = this.secrets.ofEndpoint(row, now);
    const headers = signedHeaders(secrets, newId.webhookDelivery(), now, body);
    const { kind, status, error } = await this.sender.post(row.url, { ...headers }, body);
    if (status === null) {
      throw new ApiError('invalid_request', `The endpoint could not be reached. ${error ?? ''}`);
    }
    return {
      object: 'webhook_endpoint.test',
      webhook_endpoint_id: id,
      event_type: type,
      status_code: status,
      success: kind === 'delivered',
    };
  }
}

/** Its subject is new, so nobody takes it for one that exists. */
const sampleOf = (type: EventType, now: Date): OutboxEvent =>
  newEvent(type, type === 'container.expired' ? newId.container() : newId.response(), now);
