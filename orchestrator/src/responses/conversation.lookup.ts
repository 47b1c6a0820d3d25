/** PORT: conversations, as far as a response works on one. Implemented by the conversations feature. */
import type { InputItem } from './input.schema.js';

/** That a response may work on a conversation, and nobody else. Renewed while the process lives. */
export interface ConversationLock {
  /** Aborts when another response works on it now, since this one could not renew its lock in time. */
  readonly lost: AbortSignal;
  /** Renews it no more, and leaves it: the response has ended and freed it, or its row keeps it. */
  leave(): void;
  /** Gives it up; called when the response could not begin. Never throws. */
  release(): Promise<void>;
}

export abstract class ConversationLookup {
  /** How much it holds; 404 for an unknown conversation. Called before its items are read. */
  abstract size(projectId: string, id: string): Promise<{ readonly items: number; readonly bytes: number }>;
  /** All items, oldest first; 404 for an unknown conversation. Called before a run, under the lock. */
  abstract items(projectId: string, id: string): Promise<InputItem[]>;
  /**
   * Called before anything is read. 404 for an unknown conversation; throws 400 `conversation_locked` while
   * another response works on it. A stored background response that has not ended keeps its lock by itself.
   */
  abstract lock(projectId: string, id: string, responseId: string): Promise<ConversationLock>;
  /**
   * Called at the end of an unstored response: adds its items, maybe none, and unlocks, in one transaction.
   * Doing it again changes nothing. Stored ones are added with their end, in one transaction too.
   */
  abstract end(id: string, responseId: string, items: readonly { id: string }[]): Promise<void>;
}
