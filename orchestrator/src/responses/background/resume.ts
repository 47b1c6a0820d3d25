/** What a run that a crash cut off has to do first, read from its events and executions. Pure. */
import type { LlmFile, LlmMessage } from '../../llm/llm.js';
import { logsOf, shortenLog } from '../context/messages.js';
import type {
  CodeInterpreterCallItem,
  DraftEvent,
  MessageItem,
  OutputItem,
  StreamEvent,
} from '../response.types.js';
import { PYTHON_TOOL } from '../run/turn.js';
import type { Resumed } from '../run/response-run.js';

const CUT_OFF =
  'The server was restarted while this code ran. Variables may be lost; files in /mnt/data are kept. Run it again if needed.';

const textOf = (item: MessageItem): string =>
  item.content.flatMap((part) => (part.type === 'output_text' ? [part.text] : [part.refusal])).join('');

/** Items as the events left them: the last word on each, and whether it ended. */
function itemsOf(events: readonly StreamEvent[]): { item: OutputItem; open: boolean }[] {
  const items = new Map<string, { item: OutputItem; open: boolean }>();
  const codes = new Map<string, string>();
  for (const event of events) {
    if (event.item)
      items.set(event.item.id, { item: event.item, open: event.type !== 'response.output_item.done' });
    if (event.type === 'response.code_interpreter_call_code.done')
      codes.set(event['item_id'] as string, event['code'] as string);
  }
  return [...items.values()].map(({ item, open }) =>
    open && item.type === 'code_interpreter_call'
      ? { item: { ...item, code: codes.get(item.id) ?? item.code }, open }
      : { item, open },
  );
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

function closingsOf(item: OutputItem, events: readonly StreamEvent[]): DraftEvent[] {
  switch (item.type) {
    case 'code_interpreter_call':
      return [{ type: 'response.output_item.done', item: cutOff(item) }];
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

const cutOff = (item: CodeInterpreterCallItem): CodeInterpreterCallItem => ({
  ...item,
  status: 'incomplete',
  outputs: [{ type: 'logs', logs: CUT_OFF }],
});

/** Finished items as the model remembers them; half a message or function call is forgotten. */
function messagesOf(item: OutputItem, open: boolean, files: readonly LlmFile[]): LlmMessage[] {
  if (item.type === 'message') return open ? [] : [{ role: 'assistant', text: textOf(item), toolCalls: [] }];
  if (item.type !== 'code_interpreter_call') return [];
  const callId = `call_${item.id}`;
  const logs = open ? CUT_OFF : shortenLog(logsOf(item.outputs)) || '(no output)';
  return [
    {
      role: 'assistant',
      text: '',
      toolCalls: [{ callId, name: PYTHON_TOOL, arguments: JSON.stringify({ code: item.code ?? '' }) }],
    },
    { role: 'tool', callId, parts: [{ type: 'text', text: logs }], files },
  ];
}

/** Only the terminal event is missing: the last thing said was an answer, or a call for the client. */
function isFinished(items: readonly { item: OutputItem; open: boolean }[]): boolean {
  if (items.some(({ open }) => open)) return false;
  const last = items.at(-1)?.item;
  return last?.type === 'message' || items.some(({ item }) => item.type === 'function_call');
}

/** `files` are those the executions of this response made. */
export function resume(events: readonly StreamEvent[], files: readonly LlmFile[]): Resumed {
  const items = itemsOf(events);
  return {
    closings: items.flatMap(({ item, open }) => (open ? closingsOf(item, events) : [])),
    messages: items.flatMap(({ item, open }) => messagesOf(item, open, files)),
    finished: isFinished(items),
    calls: items.filter(({ item }) => item.type === 'code_interpreter_call').length,
  };
}
