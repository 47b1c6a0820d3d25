import type { KeyRecord } from '../auth/api-key.repository.js';
import { toUnix, toUnixOrNull } from '../common/time.js';
import type { ProjectRow } from './project.repository.js';
import type { KeyObject, ProjectObject } from './project.schema.js';

const UNITS = [
  [1024 ** 3, 'g'],
  [1024 ** 2, 'm'],
  [1024, 'k'],
] as const;

/** 68719476736 → `64g`: exact, in the largest unit that fits. */
export function shortSize(bytes: number): string {
  const unit = UNITS.find(([size]) => bytes > 0 && bytes % size === 0);
  return unit ? `${bytes / unit[0]}${unit[1]}` : String(bytes);
}

export function presentProject(row: ProjectRow): ProjectObject {
  return {
    id: row.id,
    object: 'project',
    name: row.name,
    status: row.status,
    memory_pool: row.memoryPoolBytes === null ? null : shortSize(Number(row.memoryPoolBytes)),
    storage_quota: row.storageQuotaBytes === null ? null : shortSize(Number(row.storageQuotaBytes)),
    requests_per_minute: row.requestsPerMinute,
    concurrent_runs: row.concurrentRuns,
    links: row.allowsLinks,
    created_at: toUnix(row.createdAt),
  };
}

export function presentKey(row: KeyRecord): KeyObject {
  return {
    id: row.id,
    object: 'project.api_key',
    project_id: row.projectId,
    name: row.name,
    hint: row.hint,
    created_at: toUnix(row.createdAt),
    last_used_at: toUnixOrNull(row.lastUsedAt),
    revoked_at: toUnixOrNull(row.revokedAt),
  };
}
