/** Renews leases in the database for as long as whoever holds them runs, all of a kind with one statement. */
import type { Logger } from '@nestjs/common';

/** Milliseconds between two renewals of a lease of so many seconds: two of three may fail. */
export const renewalMs = (leaseSeconds: number): number => Math.round((leaseSeconds * 1000) / 3);

export interface LeaseKeeperOptions<V> {
  /** Milliseconds between two renewals. */
  readonly everyMs: number;
  /** Renews them and returns the keys of those that are still ours. */
  readonly renew: (leases: ReadonlyMap<string, V>) => Promise<readonly string[]>;
  readonly logger: Pick<Logger, 'warn'>;
  /** What is kept, for the log: "the lock of a conversation". */
  readonly what: string;
}

interface Held<V> {
  readonly value: V;
  readonly onLost: () => void;
}

export class LeaseKeeper<V> {
  private readonly held = new Map<string, Held<V>>();
  private timer: NodeJS.Timeout | undefined;
  private renewing = false;

  constructor(private readonly options: LeaseKeeperOptions<V>) {}

  /** Keys of what is held now. */
  keys(): string[] {
    return [...this.held.keys()];
  }

  /** Keeps it until the returned function is called. `onLost`: somebody else has it, or it is gone. */
  keep(key: string, value: V, onLost: () => void): () => void {
    const mine: Held<V> = { value, onLost };
    this.held.set(key, mine);
    this.timer ??= setInterval(() => void this.renewAll(), this.options.everyMs).unref();
    return () => {
      if (this.held.get(key) === mine) this.held.delete(key);
      if (this.held.size > 0) return;
      clearInterval(this.timer);
      this.timer = undefined;
    };
  }

  private async renewAll(): Promise<void> {
    if (this.renewing || this.held.size === 0) return;
    this.renewing = true;
    const asked = new Map(this.held);
    try {
      const kept = new Set(
        await this.options.renew(new Map([...asked].map(([key, { value }]) => [key, value]))),
      );
      for (const [key, mine] of asked) if (!kept.has(key) && this.held.get(key) === mine) mine.onLost();
    } catch (error) {
      this.options.logger.warn(
        { err: error },
        `${this.options.what} could not be renewed; the next try comes`,
      );
    } finally {
      this.renewing = false;
    }
  }
}
