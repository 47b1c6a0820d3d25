/** What the server acknowledged, and so must be able to show, and what it was asked without an answer. */
import { createHash } from 'node:crypto';

export const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');

export interface KeptFile {
  /** Path of the request that returns its bytes, below the base URL. */
  readonly path: string;
  readonly sha256: string;
}

/** A file that could not be stored when its execution ended, and was said to follow. */
export interface OwedFile {
  readonly container: string;
  /** In the container. */
  readonly path: string;
  readonly sha256: string;
}

export interface KeptExecution {
  readonly container: string;
  readonly id: string;
  /** As it was answered. */
  readonly answer: unknown;
}

export interface StartedResponse {
  readonly id: string;
  /** What its code prints, if it comes to its end. */
  readonly token: string;
}

export interface KeptConversation {
  readonly id: string;
  /** Ids of its items in the order in which they were acknowledged. */
  readonly items: string[];
}

/** An answer that no fault excuses. */
export interface Oddity {
  readonly what: string;
  readonly detail: string;
}

export class Ledger {
  readonly files: KeptFile[] = [];
  readonly owed: OwedFile[] = [];
  readonly executions: KeptExecution[] = [];
  readonly responses: StartedResponse[] = [];
  readonly conversations: KeptConversation[] = [];
  readonly containers = new Set<string>();
  readonly oddities: Oddity[] = [];
  /** Requests of this round by how they ended; for the line that it prints. */
  readonly ends = new Map<string, number>();

  /** The piece of work of this round that took longest. */
  slowest: { readonly name: string; readonly ms: number } = { name: 'none', ms: 0 };

  /** Begins to count anew; what was promised stays. */
  nextRound(): void {
    this.ends.clear();
    this.slowest = { name: 'none', ms: 0 };
  }

  count(end: string): void {
    this.ends.set(end, (this.ends.get(end) ?? 0) + 1);
  }

  took(name: string, ms: number): void {
    if (ms > this.slowest.ms) this.slowest = { name, ms };
  }

  odd(what: string, detail: unknown): void {
    this.oddities.push({ what, detail: String(detail).slice(0, 600) });
  }
}
