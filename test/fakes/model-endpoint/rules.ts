/**
 * How the endpoint answers when nobody scripted anything: a very small model that obeys its user.
 *
 *   ```python … ```     in the user's message: calls python with that code, then tells what it printed
 *                       and links the files it made
 *   @call NAME {JSON}   on a line of its own: calls that function
 *   anything else       is repeated
 */
import { type ChatRequest, type ScriptedCall, type ScriptedTurn, textOf } from './script.ts';

const CODE = /^```(?:python|py)\s*\n([\s\S]*?)^```/gm;
const CALL = /^@call (\S+) (\{.*\})\s*$/gm;
const FILE = /^- (\/mnt\/data\/.+) \(\d+ bytes\)$/gm;

const link = (path: string): string =>
  `[${path.slice(path.lastIndexOf('/') + 1)}](sandbox:${encodeURI(path)})`;

function callsOf(text: string, has: (tool: string) => boolean): ScriptedCall[] {
  const code = [...text.matchAll(CODE)].map((match) => match[1]!).join('\n');
  const python = code !== '' && has('python') ? [{ name: 'python', arguments: { code } }] : [];
  const functions = [...text.matchAll(CALL)].flatMap((match) =>
    has(match[1]!) ? [{ name: match[1]!, arguments: match[2]! }] : [],
  );
  return [...python, ...functions];
}

function report(results: readonly string[]): string {
  const whole = results.join('\n');
  const files = [...new Set([...whole.matchAll(FILE)].map((match) => match[1]!))];
  const printed = whole
    .replaceAll(FILE, '')
    .replace(/^Files:$/gm, '')
    .trim();
  return [`Result: ${printed}`, ...files.map(link)].join('\n');
}

/** The answer to a request, from nothing but the request. */
export function byRules(request: ChatRequest): ScriptedTurn {
  const { messages } = request;
  const asked = messages.findLastIndex(({ role }) => role === 'user');
  const results = messages.filter(({ role }, index) => role === 'tool' && index > lastSpoken(request));
  if (results.length > 0) return { text: report(results.map(textOf)) };
  const text = textOf(messages[asked]);
  const has = (tool: string): boolean =>
    request.tool_choice !== 'none' && (request.tools ?? []).some((each) => each.function.name === tool);
  const calls = callsOf(text, has);
  return calls.length > 0 ? { calls } : { text: `You said: ${text}` };
}

/** Index of the last message that is not the result of a tool, or figures that follow one. */
function lastSpoken({ messages }: ChatRequest): number {
  const call = messages.findLastIndex(({ tool_calls }) => (tool_calls ?? []).length > 0);
  const after = messages.slice(call + 1);
  const others = after.filter(({ role, content }) => role !== 'tool' && typeof content === 'string');
  return call >= 0 && others.length === 0 ? call : messages.length;
}

/** Model names that stand for a fault: `fault-429`, `fault-stall`, … */
export function byName(model: string): ScriptedTurn | null {
  const name = /^fault-(.+)$/.exec(model)?.[1];
  if (name === undefined) return null;
  if (/^\d{3}$/.test(name)) return { fault: { kind: 'status', status: Number(name) } };
  const text = 'The beginning of an answer that will not end.';
  switch (name) {
    case 'disconnect':
      return { text, fault: { kind: 'disconnect', after: 2 } };
    case 'cut':
      return { text, fault: { kind: 'cut', after: 2 } };
    case 'garbage':
      return { fault: { kind: 'garbage' } };
    case 'stall':
      return { text, fault: { kind: 'stall', after: 2 } };
    case 'slow':
      return { text: 'Slowly, but surely.', chunk: 1, delay_ms: 50 };
    default:
      return null;
  }
}
