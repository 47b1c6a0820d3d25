import { describe, expect, it } from 'vitest';
import { resume } from '../../../orchestrator/src/responses/background/resume.js';
import { newResponse } from '../../../orchestrator/src/responses/record/new-response.js';
import type {
  CodeInterpreterCallItem,
  DraftEvent,
  MessageItem,
  OutputItem,
  StreamEvent,
} from '../../../orchestrator/src/responses/response.types.js';
import { Sequencer } from '../../../orchestrator/src/responses/record/sequencer.js';
import type { TurnEnd } from '../../../orchestrator/src/responses/record/turn-end.js';

const initial = newResponse('resp_1', { model: 'python', input: 'x' }, new Date(0));
const call = (status: 'in_progress' | 'completed', code: string): CodeInterpreterCallItem => ({
  id: 'ci_1',
  type: 'code_interpreter_call',
  status,
  code,
  container_id: 'cntr_1',
  outputs: status === 'completed' ? [{ type: 'logs', logs: '1\n' }] : [],
});
const message = (status: 'in_progress' | 'completed', text: string): MessageItem => ({
  id: 'msg_1',
  type: 'message',
  status,
  role: 'assistant',
  content: status === 'completed' ? [{ type: 'output_text', text, annotations: [], logprobs: [] }] : [],
});

/** A whole run: code, then an answer; only the terminal event is missing. */
const DRAFTS: DraftEvent[] = [
  { type: 'response.created' },
  { type: 'response.queued' },
  { type: 'response.in_progress' },
  { type: 'response.output_item.added', item: call('in_progress', '') },
  { type: 'response.code_interpreter_call.in_progress', item_id: 'ci_1' },
  { type: 'response.code_interpreter_call_code.delta', item_id: 'ci_1', delta: 'print(1)' },
  { type: 'response.code_interpreter_call_code.done', item_id: 'ci_1', code: 'print(1)' },
  { type: 'response.code_interpreter_call.interpreting', item_id: 'ci_1' },
  { type: 'response.code_interpreter_call.completed', item_id: 'ci_1' },
  { type: 'response.output_item.done', item: call('completed', 'print(1)') },
  { type: 'response.output_item.added', item: message('in_progress', '') },
  {
    type: 'response.content_part.added',
    item_id: 'msg_1',
    content_index: 0,
    part: { type: 'output_text', text: '', annotations: [], logprobs: [] },
  },
  { type: 'response.output_text.delta', item_id: 'msg_1', content_index: 0, delta: 'on', logprobs: [] },
  { type: 'response.output_text.delta', item_id: 'msg_1', content_index: 0, delta: 'e', logprobs: [] },
  { type: 'response.output_item.done', item: message('completed', 'one') },
];

function cutAfter(count: number): StreamEvent[] {
  const sequencer = new Sequencer(initial);
  return DRAFTS.slice(0, count).map((draft) => sequencer.next(draft));
}

const FIRST: TurnEnd = {
  turns: 1,
  finish: 'tool_calls',
  goesOn: true,
  items: ['ci_1'],
  usage: { input: 10, cached: 1, output: 5, reasoning: 2 },
};
const SECOND: TurnEnd = { ...FIRST, turns: 2, finish: 'stop', goesOn: false, items: ['ci_1', 'msg_1'] };

/** What was written down of the model's turns when the events were cut there: the first ends with the code. */
const turnAt = (cut: number): TurnEnd | null => (cut < 7 ? null : cut < DRAFTS.length ? FIRST : SECOND);
const resumedAt = (cut: number, turn = turnAt(cut)) => resume(cutAfter(cut), turn, []);

/** The output of a run that was cut there and then gives up. */
function outputAfter(cut: number, turn = turnAt(cut)): readonly OutputItem[] {
  const resumed = resumedAt(cut, turn);
  const sequencer = Sequencer.resume(initial, cutAfter(cut), resumed.dropped);
  for (const draft of resumed.closings) sequencer.next(draft);
  sequencer.next({ type: 'response.failed', status: 'failed', error: null, usage: null });
  return sequencer.response.output;
}

describe('resume', () => {
  it('closes every open item exactly once, wherever it was cut', () => {
    for (let cut = 1; cut <= DRAFTS.length; cut += 1) {
      const events = cutAfter(cut);
      const opened = events
        .filter((event) => event.type === 'response.output_item.added')
        .map((event) => event.item!.id);
      const ended = events
        .filter((event) => event.type === 'response.output_item.done')
        .map((event) => event.item!.id);
      const closed = resumedAt(cut).closings.flatMap((draft) =>
        draft.type === 'response.output_item.done' ? [draft.item.id] : [],
      );
      expect([...ended, ...closed].sort()).toEqual([...opened].sort());
      const sequencer = Sequencer.resume(initial, events);
      expect(() => resumedAt(cut).closings.forEach((draft) => sequencer.next(draft))).not.toThrow();
    }
  });

  it('tells the model that its code was cut off', () => {
    const { messages, end, calls } = resumedAt(8);
    expect(messages.map((each) => each.role)).toEqual(['assistant', 'tool']);
    expect(messages[0]).toMatchObject({ toolCalls: [{ arguments: '{"code":"print(1)"}' }] });
    expect(JSON.stringify(messages[1])).toContain('restarted while this code ran');
    expect({ end, calls }).toEqual({ end: null, calls: 1 });
  });

  it('tells the model that its code never ran', () => {
    const { messages, calls } = resumedAt(7);
    expect(JSON.stringify(messages[1])).toContain('before this code ran');
    expect(calls).toBe(1);
  });

  it('forgets code that had not been told to its end', () => {
    const { messages, calls, turns } = resumedAt(6);
    expect({ messages, calls, turns }).toEqual({ messages: [], calls: 0, turns: 0 });
    expect(outputAfter(6)).toEqual([]);
  });

  it('gives a finished call with its output and files, and asks for the answer', () => {
    const { messages, end, closings } = resume(cutAfter(10), FIRST, [{ path: '/mnt/data/a.csv', bytes: 1 }]);
    expect(messages[1]).toMatchObject({
      role: 'tool',
      parts: [{ text: '1\n' }],
      files: [{ path: '/mnt/data/a.csv' }],
    });
    expect({ end, closings }).toEqual({ end: null, closings: [] });
  });

  it('closes half an answer as incomplete, and keeps it out of the output and the model’s memory', () => {
    const { messages, closings } = resumedAt(14);
    expect(messages).toHaveLength(2);
    expect(closings.at(-1)).toMatchObject({ item: { status: 'incomplete', content: [{ text: 'one' }] } });
    expect(outputAfter(14).map(({ id }) => id)).toEqual(['ci_1']);
  });

  it('does not take a message for the answer while its turn had not ended', () => {
    const { end, messages, dropped } = resumedAt(DRAFTS.length, FIRST);
    expect({ end, dropped }).toEqual({ end: null, dropped: ['msg_1'] });
    expect(messages).toHaveLength(2);
    expect(outputAfter(DRAFTS.length, FIRST).map(({ id }) => id)).toEqual(['ci_1']);
  });

  it('knows when only the terminal event is missing, and which one', () => {
    expect(resumedAt(DRAFTS.length).end).toBe('completed');
    expect(resumedAt(DRAFTS.length, { ...SECOND, finish: 'length' }).end).toBe('max_output_tokens');
    expect(resumedAt(DRAFTS.length, { ...SECOND, finish: 'content_filter' }).end).toBe('content_filter');
    expect(resumedAt(3).end).toBe(null);
  });

  it('keeps count of turns and tokens', () => {
    expect(resumedAt(10)).toMatchObject({ turns: 1, usage: FIRST.usage, items: ['ci_1'] });
  });

  it('keeps what an older server had run, which wrote down no turns', () => {
    const { calls, dropped, turns } = resumedAt(DRAFTS.length, null);
    expect({ calls, dropped, turns }).toEqual({ calls: 1, dropped: ['msg_1'], turns: 1 });
  });
});
