import type { MemorySize } from '../config/env.schema.js';

const GIB = 1024 ** 3;

/** Bytes that a container of this size promises to user code. */
export const memoryBytes: Record<MemorySize, number> = {
  '1g': GIB,
  '4g': 4 * GIB,
  '16g': 16 * GIB,
  '64g': 64 * GIB,
};

/** 1610612736 → `1.5 GB`; for people. */
export function formatBytes(bytes: number): string {
  if (bytes >= GIB) return `${Number((bytes / GIB).toFixed(2))} GB`;
  if (bytes >= 1024 ** 2) return `${Number((bytes / 1024 ** 2).toFixed(1))} MB`;
  return `${Math.ceil(bytes / 1024)} KB`;
}
