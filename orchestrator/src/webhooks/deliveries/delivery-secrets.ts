/** Which secrets sign a delivery: the endpoint's own, or the project's for callback URLs. */
import { Injectable } from '@nestjs/common';
import { WebhookEndpointRepository } from '../endpoints/webhook-endpoint.repository.js';
import { SigningSecrets } from '../signing/signing-secrets.js';
import type { ClaimedDelivery } from './delivery.repository.js';

@Injectable()
export class DeliverySecrets {
  constructor(
    private readonly endpoints: WebhookEndpointRepository,
    private readonly secrets: SigningSecrets,
  ) {}

  async of({ row, endpoint }: ClaimedDelivery, now: Date): Promise<string[]> {
    if (endpoint) return this.secrets.ofEndpoint(endpoint, now);
    const version = (await this.endpoints.callbackVersion(row.projectId)) ?? 0;
    return [this.secrets.ofCallbacks(row.projectId, version)];
  }
}
