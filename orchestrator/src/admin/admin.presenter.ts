import type { SandboxState } from '../containers/hibernation.service.js';
import { toUnix, toUnixOrNull } from '../common/time.js';
import type { MemorySize } from '../config/env.schema.js';
import type { ContainerRow, ExecutionSummary } from '../containers/inventory.lookup.js';
import type { AdminContainerObject, AdminExecutionObject } from './admin.schema.js';

const isIdleTooLong = (row: ContainerRow, now: Date): boolean =>
  now.getTime() >= row.lastActiveAt.getTime() + row.idleMinutes * 60_000;

export function presentContainer(
  row: ContainerRow,
  sandbox: SandboxState,
  now = new Date(),
): AdminContainerObject {
  return {
    id: row.id,
    object: 'container',
    project_id: row.projectId,
    name: row.name,
    status: row.status === 'running' && isIdleTooLong(row, now) ? 'expired' : row.status,
    created_at: toUnix(row.createdAt),
    last_active_at: toUnix(row.lastActiveAt),
    expires_after: { anchor: 'last_active_at', minutes: row.idleMinutes },
    ended_at: toUnixOrNull(row.endedAt),
    memory_limit: row.memoryLimit as MemorySize,
    memory_bytes: Number(row.memoryBytes),
    auto: row.auto,
    session_key: row.sessionKey,
    live_sandbox: row.sandboxId !== null,
    sandbox: sandbox.state,
    stays_awake: sandbox.staysAwake,
  };
}

/** `code` is shown only to those who asked for it. */
export function presentExecution(row: ExecutionSummary, code?: string): AdminExecutionObject {
  return {
    id: row.id,
    object: 'container.execution',
    project_id: row.projectId,
    container_id: row.containerId,
    response_id: row.responseId,
    status: row.status,
    error_name: row.errorName,
    state_lost: row.stateLost,
    timeout_ms: row.timeoutMs,
    duration_ms: row.durationMs,
    peak_memory_bytes: row.peakMemoryBytes === null ? null : Number(row.peakMemoryBytes),
    created_at: toUnix(row.createdAt),
    started_at: toUnixOrNull(row.startedAt),
    completed_at: toUnixOrNull(row.endedAt),
    ...(code === undefined ? {} : { code }),
  };
}
