/** Our messages → the messages of a chat completion. Pure. */
import { visible } from '../../common/text.js';
import type { LlmFile, LlmMessage, LlmPart, LlmToolCall } from '../llm.js';

export type ChatPart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image_url'; readonly image_url: { readonly url: string; readonly detail?: string } };

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly content: string | readonly ChatPart[] | null;
  readonly tool_calls?: readonly {
    readonly id: string;
    readonly type: 'function';
    readonly function: { readonly name: string; readonly arguments: string };
  }[];
  readonly tool_call_id?: string;
  readonly reasoning_content?: string;
  readonly reasoning?: string;
}

type ReasoningField = 'reasoning_content' | 'reasoning';
type ToolMessage = Extract<LlmMessage, { role: 'tool' }>;
type AssistantMessage = Extract<LlmMessage, { role: 'assistant' }>;
type ImagePart = Extract<LlmPart, { type: 'image' }>;

const isImage = (part: LlmPart): part is ImagePart => part.type === 'image';

const textOf = (parts: readonly LlmPart[], separator: string): string =>
  parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join(separator);

function toChatPart(part: LlmPart): ChatPart {
  if (part.type === 'text') return part;
  // `original` is a word of the Responses API only.
  const detail = part.detail === 'original' ? 'high' : part.detail;
  return { type: 'image_url', image_url: { url: part.url, ...(detail === undefined ? {} : { detail }) } };
}

/** A plain string where that is enough: not every server takes a list of parts. */
const contentOf = (parts: readonly LlmPart[]): string | ChatPart[] =>
  parts.some(isImage) ? parts.map(toChatPart) : textOf(parts, '\n');

/** Chat templates parse the arguments, so what is replayed is always a JSON object. */
function asObject(text: string): string {
  if (text.trim() === '') return '{}';
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return text;
  } catch {
    // Not JSON at all: wrapped below.
  }
  return JSON.stringify({ input: text });
}

const toChatCall = (call: LlmToolCall) => ({
  id: call.callId,
  type: 'function' as const,
  function: { name: call.name, arguments: asObject(call.arguments) },
});

function assistant(message: AssistantMessage, reasoningField: ReasoningField | undefined): ChatMessage {
  const { text, reasoning, toolCalls } = message;
  return {
    role: 'assistant',
    content: text === '' && toolCalls.length > 0 ? null : text,
    ...(reasoningField && reasoning ? { [reasoningField]: reasoning } : {}),
    ...(toolCalls.length > 0 ? { tool_calls: toolCalls.map(toChatCall) } : {}),
  };
}

const filesText = (files: readonly LlmFile[]): string =>
  ['Files:', ...files.map((file) => `- ${visible(file.path)} (${file.bytes} bytes)`)].join('\n');

function toolText(message: ToolMessage): string {
  const printed = textOf(message.parts, '\n');
  const files = message.files ?? [];
  const sections = [printed, ...(files.length > 0 ? [filesText(files)] : [])];
  return sections.filter((section) => section !== '').join('\n\n') || '(no output)';
}

/** A tool message cannot hold images: they follow in one user message, after all results of the turn. */
function imagesMessage(images: readonly ImagePart[]): ChatMessage {
  const note = images.length === 1 ? 'The figure that the tool showed:' : 'The figures that the tool showed:';
  return { role: 'user', content: [{ type: 'text', text: note }, ...images.map(toChatPart)] };
}

class ChatMessages {
  readonly list: ChatMessage[] = [];
  private images: ImagePart[] = [];

  add(message: ChatMessage): void {
    this.flushImages();
    this.list.push(message);
  }

  tool(message: ToolMessage): void {
    this.list.push({ role: 'tool', tool_call_id: message.callId, content: toolText(message) });
    this.images.push(...message.parts.filter(isImage));
  }

  flushImages(): void {
    if (this.images.length > 0) this.list.push(imagesMessage(this.images));
    this.images = [];
  }
}

/** System messages at the beginning become one: many chat templates allow no second one. */
export function toChatMessages(
  messages: readonly LlmMessage[],
  reasoningField?: ReasoningField,
): ChatMessage[] {
  const chat = new ChatMessages();
  const firstOther = messages.findIndex((message) => message.role !== 'system');
  const leading = messages.slice(0, firstOther < 0 ? messages.length : firstOther);
  const system = leading.flatMap((message) =>
    message.role === 'system' ? [textOf(message.parts, '\n')] : [],
  );
  if (system.length > 0) chat.add({ role: 'system', content: system.join('\n\n') });
  for (const message of messages.slice(leading.length)) {
    if (message.role === 'tool') chat.tool(message);
    else if (message.role === 'assistant') chat.add(assistant(message, reasoningField));
    else chat.add({ role: message.role, content: contentOf(message.parts) });
  }
  chat.flushImages();
  return chat.list;
}
