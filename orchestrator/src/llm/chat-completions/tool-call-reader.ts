/**
 * Puts the fragments of tool calls together. Servers differ in what a fragment carries: an index or
 * none, one index for all calls, an id in the first piece, in every piece or a new one in each, the
 * name in parts or over and over, arguments as text or as an object. Pure.
 */
import { newId } from '../../common/ids.js';
import { type LlmEvent, LlmError } from '../llm.js';

type ToolCallEvent = Extract<LlmEvent, { type: 'tool_call' }>;

interface OpenCall {
  /** Ours: calls are numbered as they appear. */
  readonly index: number;
  readonly upstreamIndex: number | null;
  upstreamId: string | null;
  name: string;
  arguments: string;
  /** Its first event is out; the name is fixed. */
  announced: boolean;
  /** Arguments that wait for the name. */
  waiting: string;
}

interface Fragment {
  readonly index: number | null;
  readonly id: string | null;
  readonly name: string;
  readonly arguments: string;
}

const SAFE_ID = /^[A-Za-z0-9_-]{1,64}$/;

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

function toFragment(value: unknown): Fragment {
  const { index, id, function: called } = (value ?? {}) as Record<string, unknown>;
  const { name, arguments: given } = (called ?? {}) as Record<string, unknown>;
  return {
    index: typeof index === 'number' ? index : null,
    id: textOf(id) === '' ? null : textOf(id),
    name: textOf(name),
    arguments: typeof given === 'object' && given !== null ? JSON.stringify(given) : textOf(given),
  };
}

/** A whole JSON object has come; no proper beginning of one is whole. */
function isWhole(text: string): boolean {
  if (!text.trimEnd().endsWith('}')) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

export class ToolCallReader {
  private readonly calls: OpenCall[] = [];
  private readonly ids: Set<string>;

  /** `taken`: ids used earlier in the conversation; some servers count from the same number every turn. */
  constructor(taken: ReadonlySet<string>) {
    this.ids = new Set(taken);
  }

  get any(): boolean {
    return this.calls.length > 0;
  }

  /** Takes the `tool_calls` of one delta. */
  push(fragments: readonly unknown[]): ToolCallEvent[] {
    const events: ToolCallEvent[] = [];
    for (const fragment of fragments.map(toFragment)) this.take(fragment, events);
    return events;
  }

  /** No more will come. A call that never got a name is a fault of the endpoint. */
  end(): ToolCallEvent[] {
    const events: ToolCallEvent[] = [];
    for (const call of this.calls) {
      if (call.announced) continue;
      if (call.name === '') throw new LlmError('protocol', 'The model called a tool without naming it.');
      events.push(this.announce(call));
    }
    return events;
  }

  private take(fragment: Fragment, events: ToolCallEvent[]): void {
    const known = this.find(fragment);
    const call = known ?? this.open(fragment);
    if (!known) this.announceNamed(call, events);
    call.upstreamId ??= fragment.id;
    if (!call.announced) call.name = joinName(call.name, fragment.name);
    call.arguments += fragment.arguments;
    if (call.announced) {
      if (fragment.arguments !== '') events.push(delta(call, fragment.arguments));
      return;
    }
    call.waiting += fragment.arguments;
    if (call.name !== '' && call.waiting !== '') events.push(this.announce(call));
  }

  /** The call this fragment goes on with, or null when it begins one. */
  private find(fragment: Fragment): OpenCall | null {
    const { index, id } = fragment;
    const call =
      index !== null
        ? this.calls.findLast((each) => each.upstreamIndex === index)
        : (this.calls.findLast((each) => id !== null && each.upstreamId === id) ?? this.calls.at(-1));
    return call && !beginsAnother(fragment, call) ? call : null;
  }

  private open(fragment: Fragment): OpenCall {
    const call: OpenCall = {
      index: this.calls.length,
      upstreamIndex: fragment.index,
      upstreamId: fragment.id,
      name: '',
      arguments: '',
      announced: false,
      waiting: '',
    };
    this.calls.push(call);
    return call;
  }

  /** Calls without arguments are announced when the next one begins. */
  private announceNamed(next: OpenCall, events: ToolCallEvent[]): void {
    for (const call of this.calls) {
      if (call !== next && !call.announced && call.name !== '') events.push(this.announce(call));
    }
  }

  private announce(call: OpenCall): ToolCallEvent {
    call.announced = true;
    const { upstreamId } = call;
    const callId =
      upstreamId !== null && SAFE_ID.test(upstreamId) && !this.ids.has(upstreamId)
        ? upstreamId
        : newId.call();
    this.ids.add(callId);
    const argumentsDelta = call.waiting;
    call.waiting = '';
    return { type: 'tool_call', index: call.index, callId, name: call.name, argumentsDelta };
  }
}

/**
 * Whether a fragment that points at `call` is another call after all. An index or an id alone says
 * little: some servers give all calls one index, some give every fragment an id of its own.
 */
function beginsAnother(fragment: Fragment, call: OpenCall): boolean {
  if (fragment.name === '' || (fragment.id !== null && fragment.id === call.upstreamId)) return false;
  if (call.announced && fragment.name !== call.name) return true;
  const otherId = fragment.id !== null && call.upstreamId !== null;
  const goesOn = !otherId && fragment.arguments.trim() === '';
  if (isWhole(call.arguments)) return !goesOn;
  if (!otherId) return false;
  return fragment.index === null || (!call.announced && call.name !== '' && fragment.name !== call.name);
}

const delta = (call: OpenCall, argumentsDelta: string): ToolCallEvent => ({
  type: 'tool_call',
  index: call.index,
  argumentsDelta,
});

/** Names come whole, again and again, growing, or in parts. */
function joinName(before: string, piece: string): string {
  if (piece === '' || piece === before) return before;
  return piece.startsWith(before) ? piece : before + piece;
}
