/** Rows → wire objects of the Containers API, dates and big integers converted. */
import { toUnix } from '../common/time.js';
import type { MemorySize } from '../config/env.schema.js';
import type { ContainerFileRow } from './container-file.repository.js';
import type { ContainerRow } from './container.repository.js';
import type { ContainerFileObject, ContainerObject } from './container.schema.js';
import { stateAt } from './container.state.js';

export function presentContainer(row: ContainerRow, now = new Date()): ContainerObject {
  return {
    id: row.id,
    object: 'container',
    name: row.name,
    created_at: toUnix(row.createdAt),
    status: stateAt(row, now) === 'running' ? 'running' : 'expired',
    last_active_at: toUnix(row.lastActiveAt),
    expires_after: { anchor: 'last_active_at', minutes: row.idleMinutes },
    memory_limit: row.memoryLimit as MemorySize,
    network_policy: { type: 'disabled' },
    ...(row.sessionKey === null ? {} : { session_key: row.sessionKey }),
  };
}

export function presentContainerFile(row: ContainerFileRow): ContainerFileObject {
  return {
    id: row.id,
    object: 'container.file',
    container_id: row.containerId,
    created_at: toUnix(row.createdAt),
    bytes: Number(row.bytes),
    path: row.path,
    source: row.source,
  };
}
