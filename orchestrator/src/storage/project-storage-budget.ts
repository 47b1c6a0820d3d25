import { Inject, Injectable } from '@nestjs/common';
import { ApiError } from '../common/api-error.js';
import { formatBytes } from '../common/memory-size.js';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { StorageAccountRepository } from './storage-account.repository.js';
import { StorageBudget, type StorageGrant } from './storage-budget.js';

/** Milliseconds the sum of a project is believed; before anybody is refused it is read again. */
const FRESH_MS = 1_000;

/** What is known of one project while something is written for it. */
interface Account {
  usedBytes: number;
  quotaBytes: number;
  /** `performance.now()` of the reading; minus infinity when it is known to be old. */
  readAtMs: number;
  /** Taken by grants, not in rows yet. */
  heldBytes: number;
  /** Counts the grants that ended: their rows may be missing in a reading that began before. */
  ended: number;
  /** Who uses it; it is forgotten with the last one. */
  users: number;
  reading: Promise<void> | undefined;
}

const roomOf = (account: Account): number =>
  Math.max(0, account.quotaBytes - account.usedBytes - account.heldBytes);

const exceeded = (account: Account, bytes: number): ApiError =>
  new ApiError(
    'storage_quota_exceeded',
    `The project may store ${formatBytes(account.quotaBytes)} and has ${formatBytes(roomOf(account))} left, ` +
      `so ${formatBytes(bytes)} more do not fit. Delete files or containers that are no longer needed, ` +
      'or ask the operator of this server for a larger quota.',
  );

/** Counts what rows hold (PostgreSQL) and what this process is about to add to them. */
@Injectable()
export class ProjectStorageBudget extends StorageBudget {
  private readonly accounts = new Map<string, Account>();

  constructor(
    private readonly rows: StorageAccountRepository,
    @Inject(ENV) private readonly env: Pick<Env, 'STORAGE_QUOTA_BYTES'>,
  ) {
    super();
  }

  async admit(projectId: string, bytes: number): Promise<void> {
    await this.using(projectId, async (account) => {
      await this.hold(projectId, account, bytes);
      account.heldBytes -= bytes;
    });
  }

  async room(projectId: string): Promise<number> {
    return this.using(projectId, async (account) => {
      await this.refresh(projectId, account);
      return roomOf(account);
    });
  }

  open(projectId: string): StorageGrant {
    const account = this.enter(projectId);
    let taken = 0;
    let isOpen = true;
    const give = (bytes: number): void => {
      if (!isOpen) return;
      taken -= bytes;
      account.heldBytes -= bytes;
    };
    return {
      take: async (bytes) => {
        await this.hold(projectId, account, bytes);
        if (isOpen) taken += bytes;
        else account.heldBytes -= bytes;
      },
      give,
      release: () => {
        if (!isOpen) return;
        give(taken);
        isOpen = false;
        account.ended += 1;
        account.readAtMs = Number.NEGATIVE_INFINITY;
        this.leave(projectId, account);
      },
    };
  }

  /** Compares and counts in one step, so that of many at the same time only those pass that fit. */
  private async hold(projectId: string, account: Account, bytes: number): Promise<void> {
    if (performance.now() - account.readAtMs > FRESH_MS) await this.refresh(projectId, account);
    if (bytes > roomOf(account)) await this.refresh(projectId, account);
    if (bytes > roomOf(account)) throw exceeded(account, bytes);
    account.heldBytes += bytes;
  }

  private async refresh(projectId: string, account: Account): Promise<void> {
    account.reading ??= this.read(projectId, account).finally(() => (account.reading = undefined));
    await account.reading;
  }

  private async read(projectId: string, account: Account): Promise<void> {
    const { ended } = account;
    const readAtMs = performance.now();
    const { usedBytes, quotaBytes } = await this.rows.read(projectId);
    const quota = quotaBytes ?? this.env.STORAGE_QUOTA_BYTES;
    account.usedBytes = usedBytes;
    account.quotaBytes = quota === 0 ? Number.POSITIVE_INFINITY : quota;
    account.readAtMs = ended === account.ended ? readAtMs : Number.NEGATIVE_INFINITY;
  }

  private async using<T>(projectId: string, work: (account: Account) => Promise<T>): Promise<T> {
    const account = this.enter(projectId);
    try {
      return await work(account);
    } finally {
      this.leave(projectId, account);
    }
  }

  private enter(projectId: string): Account {
    let account = this.accounts.get(projectId);
    if (!account) {
      account = {
        usedBytes: 0,
        quotaBytes: 0,
        readAtMs: Number.NEGATIVE_INFINITY,
        heldBytes: 0,
        ended: 0,
        users: 0,
        reading: undefined,
      };
      this.accounts.set(projectId, account);
    }
    account.users += 1;
    return account;
  }

  private leave(projectId: string, account: Account): void {
    account.users -= 1;
    if (account.users === 0) this.accounts.delete(projectId);
  }
}
