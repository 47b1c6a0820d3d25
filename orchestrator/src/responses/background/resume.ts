/**
 * What a run that a crash cut off has to do first, read from its events, from the last turn of the model
 * that was written down as ended, and from its executions. Pure.
 *
 * What a turn said that had ended counts: its calls ran or were cut off, its words were said. What a turn
 * said that had not is closed as incomplete and left out of the output, for the model is asked again and
 * says it anew.
 */
import type { LlmFile, LlmMessage } from '../../llm/llm.js';
import { logsOf, shortenLog } from '../context/messages.js';
import type {
  CodeInterpreterCallItem,
  DraftEvent,
  MessageItem,
  OutputItem,
  StreamEvent,
} from '../response.types.js';
import { PYTHON_TOOL } from '../context/python-prompt.js';
import type { Resumed } from '../run/response-run.js';
import type { TurnEnd } from '../record/turn-end.js';

const CUT_OFF =
  'The server was restarted while this code ran. Variables may be lost; files in /mnt/data are kept. Run it again if needed.';
const NEVER_RAN = 'The server was restarted before this code ran. Run it again if needed.';

const textOf = (item: MessageItem): string =>
  item.content.flatMap((part) => (part.type === 'output_text' ? [part.text] : [part.refusal])).join('');

interface SeenItem {
  readonly item: OutputItem;
  /** Nothing told of its end. */
  readonly open: boolean;
  /** A python call whose code was handed to the sandbox. */
  readonly ran: boolean;
}

/** Items as the events left them: the last word on each, and whether it ended. */
function itemsOf(events: readonly StreamEvent[]): SeenItem[] {
  const items = new Map<string, { item: OutputItem; open: boolean }>();
  const codes = new Map<string, string>();
  const ran = new Set<string>();
  for (const event of events) {
    if (event.item)
      items.set(event.item.id, { item: event.item, open: event.type !== 'response.output_item.done' });
    if (event.type === 'response.code_interpreter_call_code.done')
      codes.set(event['item_id'] as string, event['code'] as string);
    if (event.type === 'response.code_interpreter_call.interpreting') ran.add(event['item_id'] as string);
  }
  return [...items.values()].map(({ item, open }) => ({
    item:
      open && item.type === 'code_interpreter_call'
        ? { ...item, code: codes.get(item.id) ?? item.code }
        : item,
    open,
    ran: ran.has(item.id),
  }));
}

/** The text of an open message so far. */
function deltasOf(events: readonly StreamEvent[], itemId: string): string {
  return events
    .flatMap((event) =>
      event.type === 'response.output_text.delta' && event['item_id'] === itemId
        ? [event['delta'] as string]
        : [],
    )
    .join('');
}

function closingsOf({ item, ran }: SeenItem, counts: boolean, events: readonly StreamEvent[]): DraftEvent[] {
  switch (item.type) {
    case 'code_interpreter_call':
      return [
        {
          type: 'response.output_item.done',
          item: counts ? cutOff(item, ran) : { ...item, status: 'incomplete', outputs: [] },
        },
      ];
    case 'message': {
      const text = deltasOf(events, item.id);
      if (text === '')
        return [{ type: 'response.output_item.done', item: { ...item, status: 'incomplete' } }];
      const part = { type: 'output_text' as const, text, annotations: [], logprobs: [] };
      return [
        { type: 'response.output_text.done', item_id: item.id, content_index: 0, text, logprobs: [] },
        { type: 'response.content_part.done', item_id: item.id, content_index: 0, part },
        { type: 'response.output_item.done', item: { ...item, status: 'incomplete', content: [part] } },
      ];
    }
    case 'function_call':
      return [{ type: 'response.output_item.done', item: { ...item, status: 'incomplete' } }];
    case 'reasoning':
      return [{ type: 'response.output_item.done', item }];
  }
}

const cutOff = (item: CodeInterpreterCallItem, ran: boolean): CodeInterpreterCallItem => ({
  ...item,
  status: 'incomplete',
  outputs: [{ type: 'logs', logs: ran ? CUT_OFF : NEVER_RAN }],
});

/** What the model remembers of an item that counts. */
function messagesOf({ item, open, ran }: SeenItem, files: readonly LlmFile[]): LlmMessage[] {
  if (item.type === 'message') return open ? [] : [{ role: 'assistant', text: textOf(item), toolCalls: [] }];
  if (item.type !== 'code_interpreter_call') return [];
  const callId = `call_${item.id}`;
  const logs = open ? (ran ? CUT_OFF : NEVER_RAN) : shortenLog(logsOf(item.outputs)) || '(no output)';
  return [
    {
      role: 'assistant',
      text: '',
      toolCalls: [{ callId, name: PYTHON_TOOL, arguments: JSON.stringify({ code: item.code ?? '' }) }],
    },
    { role: 'tool', callId, parts: [{ type: 'text', text: logs }], files },
  ];
}

/** Items that count: those of turns that had ended, and what was told after the last turn of all. */
function countedOf(items: readonly SeenItem[], turn: TurnEnd | null): Set<string> {
  // Code is run only when its turn has ended; older servers did not write that down.
  const lastRun = turn ? -1 : items.findLastIndex(({ ran }) => ran);
  const said = new Set(turn?.items);
  const isOver = turn !== null && !turn.goesOn;
  return new Set(
    items
      .filter(({ item, open }, index) => said.has(item.id) || index <= lastRun || (isOver && !open))
      .map(({ item }) => item.id),
  );
}

/** How it ends when only the terminal event is missing. */
function endOf(turn: TurnEnd | null): Resumed['end'] {
  if (!turn || turn.goesOn) return null;
  if (turn.finish === 'length') return 'max_output_tokens';
  return turn.finish === 'content_filter' ? 'content_filter' : 'completed';
}

/** `files` are those the executions of this response made. */
export function resume(
  events: readonly StreamEvent[],
  turn: TurnEnd | null,
  files: readonly LlmFile[],
): Resumed {
  const items = itemsOf(events);
  const counted = countedOf(items, turn);
  const counts = ({ item }: SeenItem) => counted.has(item.id);
  return {
    closings: items.flatMap((seen) => (seen.open ? closingsOf(seen, counts(seen), events) : [])),
    messages: items.filter(counts).flatMap((seen) => messagesOf(seen, files)),
    calls: items.filter((seen) => counts(seen) && seen.item.type === 'code_interpreter_call').length,
    items: [...counted],
    dropped: items.filter((seen) => !counts(seen)).map(({ item }) => item.id),
    turns: turn?.turns ?? (counted.size > 0 ? 1 : 0),
    usage: turn?.usage,
    end: endOf(turn),
  };
}
