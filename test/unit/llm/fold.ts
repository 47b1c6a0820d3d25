/** What a list of LlmEvents adds up to, for assertions. */
import type { LlmEvent, LlmFinish, LlmUsage } from '../../../orchestrator/src/llm/llm.js';

export interface Folded {
  readonly text: string;
  readonly reasoning: string;
  readonly refusal: string;
  readonly calls: readonly { readonly name: string; readonly id: string; readonly arguments: string }[];
  readonly finish: LlmFinish | null;
  readonly usage: LlmUsage | null;
}

export function fold(events: readonly LlmEvent[]): Folded {
  const said = { text: '', reasoning: '', refusal: '' };
  const calls = new Map<number, { name: string; id: string; arguments: string }>();
  let end: Extract<LlmEvent, { type: 'finish' }> | null = null;
  for (const event of events) {
    if (end) throw new Error('there is something after the finish');
    if (event.type === 'finish') end = event;
    else if (event.type === 'tool_call') {
      const call = calls.get(event.index);
      if (!call) {
        if (event.name === undefined || event.callId === undefined)
          throw new Error('a call begins without a name or an id');
        calls.set(event.index, { name: event.name, id: event.callId, arguments: event.argumentsDelta });
      } else {
        call.arguments += event.argumentsDelta;
      }
    } else {
      said[event.type] += event.delta;
    }
  }
  return {
    ...said,
    calls: [...calls.entries()].sort(([a], [b]) => a - b).map(([, call]) => call),
    finish: end?.reason ?? null,
    usage: end?.usage ?? null,
  };
}
