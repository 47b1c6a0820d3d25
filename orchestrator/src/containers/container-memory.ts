/**
 * Shares of a project's memory pool. A running container has one until it ends. When the pool is full,
 * automatic containers that nobody uses give theirs up, the longest idle one first: they keep running, without
 * a sandbox, and ask for a share again when they are used. Containers that a caller made keep theirs.
 */
import { Inject, Injectable } from '@nestjs/common';
import { ApiError } from '../common/api-error.js';
import { formatBytes } from '../common/memory-size.js';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import {
  type Admission,
  ContainerRepository,
  type ContainerRow,
  type PoolUse,
} from './container.repository.js';
import { ContainerHolds } from './holds.js';

/** Seconds; the least a refused client is asked to wait. */
const MIN_RETRY_SECONDS = 1;

@Injectable()
export class ContainerMemory {
  constructor(
    private readonly containers: ContainerRepository,
    private readonly holds: ContainerHolds,
    @Inject(ENV) private readonly env: Env,
  ) {}

  /** Whether a container of this size would be admitted now; throws 429 if not. */
  async check(row: Pick<ContainerRow, 'projectId' | 'memoryBytes' | 'memoryLimit'>, busy: readonly string[]) {
    this.admission(row, busy)(await this.containers.poolUse(row.projectId));
  }

  /** A share for a container that was put aside; returns the ids of those that give way. Throws 429. */
  takeBack(row: ContainerRow, busy: readonly string[]): Promise<readonly string[]> {
    return this.containers.takeBack(row, this.admission(row, [...busy, row.id]));
  }

  /** Decides on a container of this size. `busy`: ids of containers in use, which do not give way. */
  admission(row: Pick<ContainerRow, 'memoryBytes' | 'memoryLimit'>, busy: readonly string[]): Admission {
    const inUse = new Set([...busy, ...this.holds.ids()]);
    return (use) => {
      const quota = use.quotaBytes ?? BigInt(this.env.MEMORY_POOL_BYTES);
      let used = use.holders.reduce((sum, { bytes }) => sum + bytes, 0n);
      const aside: string[] = [];
      for (const holder of use.holders) {
        if (used + row.memoryBytes <= quota) break;
        if (!holder.auto || holder.busy || inUse.has(holder.id)) continue;
        aside.push(holder.id);
        used -= holder.bytes;
      }
      if (used + row.memoryBytes <= quota) return aside;
      throw full(use, quota, row.memoryLimit);
    };
  }
}

function full({ holders }: PoolUse, quota: bigint, size: string): ApiError {
  const used = holders.reduce((sum, { bytes }) => sum + bytes, 0n);
  const seconds = Math.min(...holders.map(({ secondsLeft }) => secondsLeft), Number.MAX_SAFE_INTEGER);
  const retryAfter = Math.max(MIN_RETRY_SECONDS, Math.ceil(seconds));
  return new ApiError(
    'memory_pool_exhausted',
    `The memory pool of this project is full: containers hold ${formatBytes(Number(used))} of ${formatBytes(Number(quota))}, ${size} more was asked for, and none of them can give way: ` +
      'containers made by a request of yours keep their memory until they are deleted or expire, automatic ones while code or a response runs in them. ' +
      'Delete a container, choose a smaller memory_limit or a shorter expires_after, or try again later.',
    {
      param: 'memory_limit',
      headers: {
        'x-should-retry': 'false',
        ...(holders.length > 0 ? { 'retry-after': String(retryAfter) } : {}),
      },
    },
  );
}
