/** PORT: how much a project may still store. Asked before content is stored, at every way in. */

/**
 * Bytes that a piece of work takes out of its project's room while it writes; given back when the rows
 * that count from then on are written, or nothing came of it.
 */
export interface StorageGrant {
  /** Takes `bytes` more. Throws `storage_quota_exceeded` (400), and takes nothing, when they do not fit. */
  take(bytes: number): Promise<void>;
  /** Gives back `bytes` of what was taken: content that nobody will refer to. */
  give(bytes: number): void;
  /** Gives back everything; more calls do nothing. Called once the rows are written, or will not be. */
  release(): void;
}

/**
 * A project stores the sum of its files, of the parts of its pending uploads, of the files in its
 * containers and of those inside its stored items. Content that several rows refer to counts once for each of them.
 */
export abstract class StorageBudget {
  /** Throws `storage_quota_exceeded` (400) when the project may not store `bytes` more now. */
  abstract admit(projectId: string, bytes: number): Promise<void>;

  /** Bytes the project may still store, what is on its way in counted; `Infinity` without a quota. */
  abstract room(projectId: string): Promise<number>;

  /** A grant of nothing yet. The caller releases it. */
  abstract open(projectId: string): StorageGrant;

  /** Runs `work`, which writes rows for `bytes` of content that is stored already; first as {@link admit}. */
  async holding<T>(projectId: string, bytes: number, work: () => Promise<T>): Promise<T> {
    const grant = this.open(projectId);
    try {
      await grant.take(bytes);
      return await work();
    } finally {
      grant.release();
    }
  }
}
