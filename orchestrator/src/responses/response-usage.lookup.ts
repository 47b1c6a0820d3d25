import type { Period } from '../common/period.js';

export interface ResponseUse {
  readonly count: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** What others may read of stored responses. */
export abstract class ResponseUsage {
  /** Of a project, not deleted. */
  abstract count(projectId: string): Promise<number>;
  /** By project; deleted ones too, as long as their row is there. */
  abstract use(projectIds: readonly string[], period: Period): Promise<ReadonlyMap<string, ResponseUse>>;
}
