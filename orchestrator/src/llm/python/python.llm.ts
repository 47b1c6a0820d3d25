/**
 * The built-in model `python`: no language model at all. Turn one: the user's last message is the
 * program, handed to the python tool. Turn two: the reply shows what was printed and links every
 * file. So the whole product works without a key or a network (docs/models).
 */
import {
  Llm,
  LlmError,
  type LlmEvent,
  type LlmFile,
  type LlmMessage,
  type LlmRequest,
  type LlmUsage,
} from '../llm.js';
import { newId } from '../../common/ids.js';
import { truncate, visible } from '../../common/text.js';
import { programOf } from './program.js';

export const PYTHON_MODEL = 'python';
/** Characters of output repeated in the reply; the whole output is in the tool call. */
const MAX_SHOWN = 20_000;
const CHUNK = 1_000;
/** Characters of the program's call given out at a time. */
const ARGUMENTS_CHUNK = 64 * 1024;

type ToolMessage = Extract<LlmMessage, { role: 'tool' }>;

const textOf = (parts: readonly { readonly type: string; readonly text?: string }[]): string =>
  parts.flatMap((part) => (part.type === 'text' && part.text !== undefined ? [part.text] : [])).join('\n');

/** There are no tokens here; four characters count as one so that usage is not empty. */
const tokens = (text: string): number => Math.ceil(text.length / 4);

/** A file name as the text of a Markdown link: what it holds is shown and does nothing. */
const label = (name: string): string => visible(name).replace(/[\\`[\]<>]/g, '\\$&');

/** A path as the target of a Markdown link: brackets and whatever else may end a link are encoded. */
const target = (path: string): string =>
  encodeURI(path.toWellFormed()).replace(
    /[()'*!?#]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );

const link = (file: LlmFile): string =>
  `- [${label(file.path.slice(file.path.lastIndexOf('/') + 1))}](sandbox:${target(file.path)})`;

export class PythonLlm extends Llm {
  async *stream(request: LlmRequest): AsyncIterable<LlmEvent> {
    const last = request.messages.at(-1);
    if (last?.role === 'tool') yield* this.report(request, last);
    else yield* this.callTool(request);
  }

  private async *callTool(request: LlmRequest): AsyncIterable<LlmEvent> {
    const message = request.messages.findLast((each) => each.role === 'user');
    const program = message ? await programOf(textOf(message.parts)) : '';
    if (!request.tools.some((tool) => tool.name === 'python') || request.toolChoice.type === 'none') {
      throw new LlmError(
        'rejected',
        "The model 'python' runs your message as a program. Add the code_interpreter tool to the request and do not set tool_choice to 'none'.",
      );
    }
    if (program.trim() === '')
      throw new LlmError('rejected', "The model 'python' needs a user message that holds Python code.");
    const callId = newId.call();
    const args = JSON.stringify({ code: program });
    for (let start = 0; start < args.length; start += ARGUMENTS_CHUNK) {
      const argumentsDelta = args.slice(start, start + ARGUMENTS_CHUNK);
      yield { type: 'tool_call', index: 0, callId, name: 'python', argumentsDelta };
    }
    yield { type: 'finish', reason: 'tool_calls', usage: usage(program, program) };
  }

  private async *report(request: LlmRequest, result: ToolMessage): AsyncIterable<LlmEvent> {
    const printed = textOf(result.parts).trimEnd();
    const shown = truncate(printed, MAX_SHOWN);
    const sections = [shown === printed ? shown : `${shown}\n… (the whole output is in the tool call)`];
    if (result.files && result.files.length > 0)
      sections.push(`Files:\n${result.files.map(link).join('\n')}`);
    const text =
      sections.filter((section) => section !== '').join('\n\n') ||
      'Done. The code printed nothing and made no files.';
    for (let start = 0; start < text.length; start += CHUNK)
      yield { type: 'text', delta: text.slice(start, start + CHUNK) };
    const asked = request.messages
      .map((message) => (message.role === 'assistant' ? message.text : textOf(message.parts)))
      .join('');
    yield { type: 'finish', reason: 'stop', usage: usage(asked, text) };
  }
}

const usage = (input: string, output: string): LlmUsage => ({
  inputTokens: tokens(input),
  cachedTokens: 0,
  outputTokens: tokens(output),
  reasoningTokens: 0,
});
