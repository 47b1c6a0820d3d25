/** PORT: conversations, as far as a response works on one. Implemented by the conversations feature. */
import type { InputItem } from './input.schema.js';

export abstract class ConversationLookup {
  /** All items, oldest first; 404 for an unknown conversation. Called before a run. */
  abstract items(projectId: string, id: string): Promise<InputItem[]>;
  /** Throws 400 `conversation_locked` while another response works on it (contract §1.6). */
  abstract lock(id: string, responseId: string): Promise<void>;
  /** Called when the run could not begin. */
  abstract unlock(id: string, responseId: string): Promise<void>;
  /** Called at the end of an unstored response; stored ones are appended with their end, in one transaction. */
  abstract append(id: string, responseId: string, items: readonly { id: string }[]): Promise<void>;
}
