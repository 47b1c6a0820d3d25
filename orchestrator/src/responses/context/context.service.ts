/** What came before a request: stored items of earlier responses, references resolved, input normalised. */
import { Injectable } from '@nestjs/common';
import { ApiError, notFound } from '../../common/api-error.js';
import { newId } from '../../common/ids.js';
import { CompactionsService, type Opened } from '../compaction/compactions.service.js';
import { ConversationLookup } from '../conversation.lookup.js';
import type { InputItem } from '../input.schema.js';
import { ResponseRepository, type ResponseItemRow } from '../response.repository.js';
import { unansweredCall } from './messages.js';

export type StoredItem = InputItem & { id: string };

/** Which conversation a request goes on with, and what it adds. */
export interface ContextRequest {
  readonly input?: string | readonly InputItem[] | undefined;
  readonly previous_response_id?: string | undefined;
  readonly conversation?: string | { id: string } | undefined;
}

/** Everything a model is to know. */
export interface Gathered {
  /** The request's own input, as it is to be stored. */
  readonly input: readonly StoredItem[];
  /** All items, oldest first; the request's own come last. */
  readonly items: readonly InputItem[];
  readonly compactions: Opened;
}

const ID_OF: Record<InputItem['type'], () => string> = {
  message: newId.message,
  function_call: newId.functionCall,
  function_call_output: newId.functionCall,
  reasoning: newId.reasoning,
  code_interpreter_call: newId.codeInterpreterCall,
  item_reference: newId.message,
  compaction: newId.compaction,
};

/** As it is stored and listed: with an id, a status, and string content as one `input_text` part. */
export function normalise(item: InputItem): StoredItem {
  const id = item.id ?? ID_OF[item.type]();
  if (item.type !== 'message') return { ...item, id } as StoredItem;
  const kind = item.role === 'assistant' ? 'output_text' : 'input_text';
  const content =
    typeof item.content === 'string' ? [{ type: kind, text: item.content } as const] : item.content;
  return { ...item, id, status: item.status ?? 'completed', content: content as never } as StoredItem;
}

@Injectable()
export class ContextService {
  constructor(
    private readonly responses: ResponseRepository,
    private readonly conversations: ConversationLookup,
    private readonly compactions: CompactionsService,
  ) {}

  /**
   * The whole context of a request; rejects with what is wrong with it. `stored`: its own input when an
   * earlier attempt wrote it down already.
   */
  async gather(
    projectId: string,
    request: ContextRequest,
    stored?: readonly StoredItem[],
  ): Promise<Gathered> {
    const earlier = await this.earlier(projectId, request);
    const input = stored ?? (await this.input(projectId, request.input));
    const items: InputItem[] = [...earlier, ...input];
    this.checkAnswered(items);
    const compactions = this.compactions.open(projectId, items, earlier.length);
    return { input, items, compactions };
  }

  /** Everything said before this request, oldest first. */
  private async earlier(projectId: string, request: ContextRequest): Promise<InputItem[]> {
    if (request.conversation !== undefined)
      return this.conversations.items(projectId, conversationId(request.conversation));
    return request.previous_response_id === undefined
      ? []
      : this.before(projectId, request.previous_response_id);
  }

  /** Items of the response and all before it, oldest first. Throws 400 for an unknown id (contract §1.1). */
  private async before(projectId: string, previousId: string): Promise<InputItem[]> {
    const chain = await this.responses.chain(projectId, previousId);
    const first = chain[0];
    if (!first || !first.stored) {
      throw new ApiError(
        'previous_response_not_found',
        `Previous response with id '${previousId}' not found.`,
        { param: 'previous_response_id' },
      );
    }
    const byResponse = Map.groupBy(
      await this.responses.itemsOf(chain.map((row) => row.id)),
      (item) => item.responseId,
    );
    return chain.reverse().flatMap((row) => (byResponse.get(row.id) ?? []).map(toItem));
  }

  /** The request's own input, ready to be stored. */
  async input(projectId: string, input: string | readonly InputItem[] | undefined): Promise<StoredItem[]> {
    const items: readonly InputItem[] =
      typeof input === 'string'
        ? [{ type: 'message', role: 'user', content: input } as InputItem]
        : (input ?? []);
    const resolved = await Promise.all(
      items.map(async (item) => (item.type === 'item_reference' ? this.resolve(projectId, item.id) : item)),
    );
    return resolved.map(normalise);
  }

  /** Throws 400 when a function call of the conversation has no answer (contract §1.1). */
  private checkAnswered(items: readonly InputItem[]): void {
    const open = unansweredCall(items);
    if (open !== null)
      throw new ApiError('invalid_request', `No tool output found for function call ${open}.`, {
        param: 'input',
      });
  }

  /** Container ids of earlier code interpreter calls, newest first. */
  containersOf({ items, compactions }: Gathered): string[] {
    const ids = items.flatMap((item) =>
      item.type === 'code_interpreter_call' && item.container_id
        ? [item.container_id]
        : (compactions.get(item)?.containers.toReversed() ?? []),
    );
    return [...new Set(ids.reverse())];
  }

  private async resolve(projectId: string, id: string): Promise<InputItem> {
    const row = await this.responses.findItem(projectId, id);
    if (!row) {
      throw new ApiError(
        'not_found',
        `Item with id '${id}' not found. Items are not kept when 'store' is false.`,
        { param: 'input' },
      );
    }
    return toItem(row);
  }

  /** Input items of a response and of those before it, newest first. */
  async listed(projectId: string, responseId: string): Promise<StoredItem[]> {
    const chain = await this.responses.chain(projectId, responseId);
    if (chain.length === 0) throw notFound.response(responseId);
    const byResponse = Map.groupBy(
      await this.responses.itemsOf(chain.map((row) => row.id)),
      (item) => item.responseId,
    );
    const own = (byResponse.get(responseId) ?? []).filter((item) => item.kind === 'input');
    const inherited = chain
      .slice(1)
      .reverse()
      .flatMap((row) => byResponse.get(row.id) ?? []);
    return [...inherited, ...own].map((row) => row.item as unknown as StoredItem);
  }
}

export const conversationId = (conversation: string | { id: string }): string =>
  typeof conversation === 'string' ? conversation : conversation.id;

const toItem = (row: ResponseItemRow): InputItem => row.item as unknown as InputItem;
