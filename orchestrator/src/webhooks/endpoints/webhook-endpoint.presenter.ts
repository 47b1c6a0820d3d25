import { toUnix } from '../../common/time.js';
import type { EndpointRow } from './webhook-endpoint.repository.js';
import type { EndpointObject } from './webhook-endpoint.schema.js';

export function presentEndpoint(row: EndpointRow): EndpointObject {
  return {
    id: row.id,
    object: 'webhook_endpoint',
    created_at: toUnix(row.createdAt),
    updated_at: toUnix(row.updatedAt),
    name: row.name ?? '',
    url: row.url,
    event_types: row.events as EndpointObject['event_types'],
    signing_secret_hint: row.secretHint === '' ? null : row.secretHint,
    enabled: row.disabledAt === null,
    disabled_reason: row.disabledReason,
  };
}
