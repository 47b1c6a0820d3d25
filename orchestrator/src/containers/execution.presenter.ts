import { toUnix, toUnixOrNull } from '../common/time.js';
import type { ExecutionRow } from './execution.repository.js';
import type { ExecutionObject } from './execution.schema.js';

export type { ExecutionObject } from './execution.schema.js';

export function presentExecution(row: ExecutionRow): ExecutionObject {
  const error = row.outputs.findLast((output) => output.type === 'error');
  return {
    id: row.id,
    object: 'container.execution',
    container_id: row.containerId,
    response_id: row.responseId,
    status: row.status,
    code: row.code,
    outputs: [...row.outputs],
    error: error ? { name: error.name, value: error.value, traceback: error.traceback } : null,
    files: [...row.files],
    value: row.value,
    state_lost: row.stateLost,
    duration_ms: row.durationMs,
    peak_memory_bytes: row.peakMemoryBytes === null ? null : Number(row.peakMemoryBytes),
    timeout_ms: row.timeoutMs,
    created_at: toUnix(row.createdAt),
    started_at: toUnixOrNull(row.startedAt),
    completed_at: toUnixOrNull(row.endedAt),
  };
}
