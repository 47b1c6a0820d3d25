/** Items of the conversation → messages for a model. Pure; what a file or image is was settled before. */
import { visible } from '../../common/text.js';
import type { LlmMessage, LlmPart, LlmToolCall } from '../../llm/llm.js';
import type { InputItem } from '../input.schema.js';
import { PYTHON_TOOL } from './python-prompt.js';

/** How the parts that are not text are to be told to the model. */
export interface PartNotes {
  /** Path of an input file in the container, if it is there. */
  readonly pathOf: (part: Extract<PartInput, { type: 'input_file' | 'input_image' }>) => string | null;
  /** Data URL of an input image for models that can see, else null. */
  readonly imageOf: (part: Extract<PartInput, { type: 'input_image' }>) => string | null;
  /** What a compaction item says. */
  readonly summaryOf: (item: Extract<InputItem, { type: 'compaction' }>) => string;
}

type MessageInput = Extract<InputItem, { type: 'message' }>;
type PartInput = Exclude<MessageInput['content'], string>[number];

const LOG_HEAD = 12_000;
const LOG_TAIL = 4_000;

/** Head and tail of a long log, with a note; the whole log stays in the record. */
export function shortenLog(text: string): string {
  if (text.length <= LOG_HEAD + LOG_TAIL) return text;
  const left = text.length - LOG_HEAD - LOG_TAIL;
  return `${text.slice(0, LOG_HEAD).toWellFormed()}\n… ${left} characters left out …\n${text.slice(-LOG_TAIL).toWellFormed()}`;
}

function partToLlm(part: PartInput, notes: PartNotes): LlmPart[] {
  switch (part.type) {
    case 'input_text':
    case 'output_text':
      return [{ type: 'text', text: part.text }];
    case 'refusal':
      return [{ type: 'text', text: part.refusal }];
    case 'input_image': {
      const url = notes.imageOf(part);
      const path = notes.pathOf(part);
      const said: LlmPart[] = path ? [{ type: 'text', text: `[Image: ${visible(path)}]` }] : [];
      return url
        ? [{ type: 'image', url, detail: part.detail }, ...said]
        : said.length > 0
          ? said
          : [{ type: 'text', text: '[An image that this model cannot see.]' }];
    }
    case 'input_file': {
      const path = notes.pathOf(part);
      return [
        {
          type: 'text',
          text: path
            ? `[File: ${visible(path)}]`
            : `[File: ${visible(part.filename ?? part.file_id ?? 'unnamed')}]`,
        },
      ];
    }
  }
}

const partsOf = (content: string | readonly PartInput[], notes: PartNotes): LlmPart[] =>
  typeof content === 'string'
    ? [{ type: 'text', text: content }]
    : content.flatMap((part) => partToLlm(part, notes));

const plain = (parts: readonly LlmPart[]): string =>
  parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('');

/** Text of the outputs of a replayed or stored call. */
export function logsOf(outputs: readonly { readonly type: string }[] | null | undefined): string {
  const texts = (outputs ?? []).map((output) => {
    const { logs } = output as { logs?: unknown };
    return output.type === 'logs' && typeof logs === 'string'
      ? logs
      : output.type === 'image'
        ? '[A figure was shown.]'
        : '';
  });
  return texts.filter((text) => text !== '').join('\n');
}

class MessageList {
  readonly messages: LlmMessage[] = [];

  /** Adds to the assistant message at the end, or begins one. */
  assistant(text: string, call?: LlmToolCall): void {
    const last = this.messages.at(-1);
    if (last?.role === 'assistant' && (text === '' || last.toolCalls.length === 0)) {
      const merged = {
        ...last,
        text: last.text + text,
        toolCalls: call ? [...last.toolCalls, call] : last.toolCalls,
      };
      this.messages[this.messages.length - 1] = merged;
      return;
    }
    this.messages.push({ role: 'assistant', text, toolCalls: call ? [call] : [] });
  }

  add(message: LlmMessage): void {
    this.messages.push(message);
  }
}

/** All of the conversation, oldest first. Unanswered calls are the caller's fault and checked before. */
export function toMessages(items: readonly InputItem[], notes: PartNotes): LlmMessage[] {
  const list = new MessageList();
  items.forEach((item, index) => {
    switch (item.type) {
      case 'message': {
        const parts = partsOf(item.content, notes);
        if (item.role === 'assistant') list.assistant(plain(parts));
        else list.add({ role: item.role === 'user' ? 'user' : 'system', parts });
        return;
      }
      case 'function_call':
        list.assistant('', { callId: item.call_id, name: item.name, arguments: item.arguments });
        return;
      case 'function_call_output':
        list.add({ role: 'tool', callId: item.call_id, parts: partsOf(item.output, notes) });
        return;
      case 'code_interpreter_call': {
        const callId = `call_${item.id ?? `replayed_${index}`}`;
        list.assistant('', {
          callId,
          name: PYTHON_TOOL,
          arguments: JSON.stringify({ code: item.code ?? '' }),
        });
        list.add({
          role: 'tool',
          callId,
          parts: [{ type: 'text', text: shortenLog(logsOf(item.outputs)) || '(no output)' }],
        });
        return;
      }
      case 'compaction':
        list.assistant(`Summary of the conversation so far:\n\n${notes.summaryOf(item)}`);
        return;
      case 'reasoning':
      case 'item_reference':
        return;
    }
  });
  return list.messages;
}

/** The call id of a function call that nothing answers, or null (docs/contract/responses.md). */
export function unansweredCall(items: readonly InputItem[]): string | null {
  const answered = new Set(
    items.flatMap((item) => (item.type === 'function_call_output' ? [item.call_id] : [])),
  );
  const open = items.find((item) => item.type === 'function_call' && !answered.has(item.call_id));
  return open?.type === 'function_call' ? open.call_id : null;
}
