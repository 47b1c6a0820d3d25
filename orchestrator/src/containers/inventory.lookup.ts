/**
 * What others may read of containers and executions, of all projects: the operator's API, the metrics and the
 * removal of projects. Looking at them never counts as using them.
 */
import type { Period } from '../common/period.js';
import type { ExecutionState } from './execution.state.js';
import type { ContainerRow } from './container.repository.js';
import type { ExecutionSummary } from './execution-inventory.repository.js';

export type { ContainerRow } from './container.repository.js';
export type { ExecutionSummary } from './execution-inventory.repository.js';

export interface ContainerQuery {
  readonly projectId?: string | undefined;
  readonly status?: 'running' | 'expired' | 'deleted' | undefined;
  readonly afterSeq?: bigint | undefined;
  readonly limit: number;
  readonly order: 'asc' | 'desc';
}

export interface ExecutionQuery {
  readonly projectId?: string | undefined;
  readonly containerId?: string | undefined;
  readonly status?: ExecutionState | undefined;
  readonly afterSeq?: bigint | undefined;
  readonly limit: number;
  readonly order: 'asc' | 'desc';
}

export interface ContainerUse {
  readonly running: number;
  readonly memoryBytes: number;
}

export interface ContainerFileUse {
  readonly count: number;
  readonly bytes: number;
}

export interface ExecutionUse {
  readonly count: number;
  readonly durationMs: number;
}

export abstract class ContainerInventory {
  /** In whatever state. */
  abstract find(id: string): Promise<ContainerRow | null>;
  /** Deleted ones only when they are asked for. */
  abstract list(query: ContainerQuery): Promise<ContainerRow[]>;
  /** Running containers that a sandbox serves. */
  abstract countBound(): Promise<number>;
  /** Of a project, not deleted. */
  abstract count(projectId: string): Promise<number>;
  /** `most` of the project's containers that may have a sandbox. */
  abstract idsOf(projectId: string, most: number): Promise<string[]>;
  /** Containers that run at this moment, and the memory they are counted with, by project. */
  abstract use(projectIds: readonly string[]): Promise<ReadonlyMap<string, ContainerUse>>;
  /** Files of containers that were not deleted, by project. */
  abstract useOfFiles(projectIds: readonly string[]): Promise<ReadonlyMap<string, ContainerFileUse>>;
}

/** Without what was run and printed. */
export abstract class ExecutionInventory {
  abstract find(id: string): Promise<ExecutionSummary | null>;
  abstract list(query: ExecutionQuery): Promise<ExecutionSummary[]>;
  /** The code of these, by id; asked for only when the operator wants to see it. */
  abstract codeOf(ids: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** Queued or running, in all projects or in one. */
  abstract countRunning(projectId?: string): Promise<number>;
  abstract use(projectIds: readonly string[], period: Period): Promise<ReadonlyMap<string, ExecutionUse>>;
}
