/** What came before a request: stored items of earlier responses, references resolved, input normalised. */
import { setImmediate as breathe } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import { ApiError, notFound } from '../../common/api-error.js';
import { newId } from '../../common/ids.js';
import type { PageQuery } from '../../common/pagination.js';
import { ENV } from '../../config/config.module.js';
import type { Env } from '../../config/env.schema.js';
import { CompactionSeal, type Opened } from './compaction-seal.js';
import { ConversationLookup } from '../conversation.lookup.js';
import type { InputItem, StoredItem } from '../input.schema.js';
import { ResponseRepository, type ResponseItemRow } from '../record/response.repository.js';
import { addSizes, batchesOf, checkContextSize, type Size } from './context-limits.js';
import { unansweredCall } from './messages.js';

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

/** Items of a list, and whether there are more. */
export interface ListedItems {
  readonly items: readonly StoredItem[];
  readonly hasMore: boolean;
}

/** Items worked on before other requests get their turn. */
const ITEMS_AT_ONCE = 500;

@Injectable()
export class ContextService {
  constructor(
    @Inject(ENV) private readonly env: Pick<Env, 'MAX_BODY_BYTES'>,
    private readonly responses: ResponseRepository,
    private readonly conversations: ConversationLookup,
    private readonly seal: CompactionSeal,
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
    const compactions = this.seal.open(projectId, items, earlier.length);
    return { input, items, compactions };
  }

  /** Everything said before this request, oldest first. */
  private async earlier(projectId: string, request: ContextRequest): Promise<InputItem[]> {
    if (request.conversation !== undefined) {
      const id = conversationId(request.conversation);
      this.checkSize(await this.conversations.size(projectId, id), 'conversation');
      return this.conversations.items(projectId, id);
    }
    return request.previous_response_id === undefined
      ? []
      : this.before(projectId, request.previous_response_id);
  }

  /** Items of the response and all before it, oldest first. Throws 400 for an unknown id. */
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
    const ids = chain.map(({ id }) => id).reverse();
    const sizes = await this.responses.sizes(ids);
    this.checkSize(addSizes(sizes), 'previous_response_id');
    const rows: ResponseItemRow[] = [];
    for (const batch of batchesOf(sizes))
      rows.push(...(await this.responses.itemsOf(batch.map((each) => each.id))));
    const byResponse = Map.groupBy(rows, (row) => row.responseId);
    return ids.flatMap((id) => (byResponse.get(id) ?? []).map(toItem));
  }

  private checkSize(size: Size, param: string): void {
    checkContextSize(size, this.env.MAX_BODY_BYTES, param);
  }

  /** The request's own input, ready to be stored. */
  async input(projectId: string, input: string | readonly InputItem[] | undefined): Promise<StoredItem[]> {
    const items: readonly InputItem[] =
      typeof input === 'string'
        ? [{ type: 'message', role: 'user', content: input } as InputItem]
        : (input ?? []);
    const referred = await this.referred(projectId, items);
    const stored: StoredItem[] = [];
    for (const item of items) {
      stored.push(normalise(item.type === 'item_reference' ? referred.get(item.id)! : item));
      if (stored.length % ITEMS_AT_ONCE === 0) await breathe();
    }
    return stored;
  }

  /** What item references stand for. Throws 404 for an unknown one, 400 when it is too much. */
  private async referred(
    projectId: string,
    items: readonly InputItem[],
  ): Promise<ReadonlyMap<string, InputItem>> {
    const ids = items.flatMap((item) => (item.type === 'item_reference' ? [item.id] : []));
    if (ids.length === 0) return new Map();
    const heads = new Map((await this.responses.findItems(projectId, ids)).map((head) => [head.id, head]));
    const unknown = ids.find((id) => !heads.has(id));
    if (unknown !== undefined) {
      throw new ApiError(
        'not_found',
        `Item with id '${unknown}' not found. Items are not kept when 'store' is false.`,
        { param: 'input' },
      );
    }
    const bytes = ids.reduce((sum, id) => sum + heads.get(id)!.bytes, 0);
    this.checkSize({ items: ids.length, bytes }, 'input');
    const found = new Map<string, InputItem>();
    for (const batch of batchesOf([...heads.values()].map((head) => ({ ...head, items: 1 })))) {
      for (const row of await this.responses.itemsByKey(batch.map(({ key }) => key)))
        found.set(row.id, toItem(row));
    }
    return found;
  }

  /** Throws 400 when a function call of the conversation has no answer (docs/contract/responses.md). */
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

  /**
   * A page of the input items of a response, those of the responses before it included. It ends early when
   * it would become too large for one reply; the rest is on the next page. Throws 404 for an unknown cursor.
   */
  async listed(projectId: string, responseId: string, query: PageQuery): Promise<ListedItems> {
    const chain = await this.responses.chain(projectId, responseId);
    if (chain.length === 0) throw notFound.response(responseId);
    const heads = await this.responses.itemHeads(chain.map(({ id }) => id));
    const byResponse = Map.groupBy(heads, (head) => head.responseId);
    const own = (byResponse.get(responseId) ?? []).filter((head) => head.kind === 'input');
    const inherited = chain
      .slice(1)
      .reverse()
      .flatMap(({ id }) => byResponse.get(id) ?? []);
    const all = [...inherited, ...own];
    if (query.order === 'desc') all.reverse();
    const from = query.after === undefined ? 0 : all.findIndex((head) => head.id === query.after) + 1;
    if (query.after !== undefined && from === 0) throw notFound.cursor();
    const [page = []] = batchesOf(all.slice(from, from + query.limit).map((head) => ({ ...head, items: 1 })));
    const rows = new Map(
      (await this.responses.itemsByKey(page.map(({ key }) => key))).map((row) => [row.key, row]),
    );
    return {
      items: page.flatMap(({ key }) => (rows.has(key) ? [rows.get(key)!.item as unknown as StoredItem] : [])),
      hasMore: all.length > from + page.length,
    };
  }
}

export const conversationId = (conversation: string | { id: string }): string =>
  typeof conversation === 'string' ? conversation : conversation.id;

const toItem = (row: ResponseItemRow): InputItem => row.item as unknown as InputItem;
