import { describe, expect, it } from 'vitest';
import { resume } from '../../../orchestrator/src/responses/background/resume.js';
import { newResponse } from '../../../orchestrator/src/responses/response.factory.js';
import type {
  CodeInterpreterCallItem,
  DraftEvent,
  MessageItem,
  StreamEvent,
} from '../../../orchestrator/src/responses/response.types.js';
import { Sequencer } from '../../../orchestrator/src/responses/run/sequencer.js';

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
  { type: 'response.content_part.added', item_id: 'msg_1', content_index: 0, part: {} },
  { type: 'response.output_text.delta', item_id: 'msg_1', content_index: 0, delta: 'on', logprobs: [] },
  { type: 'response.output_text.delta', item_id: 'msg_1', content_index: 0, delta: 'e', logprobs: [] },
  { type: 'response.output_item.done', item: message('completed', 'one') },
];

function cutAfter(count: number): StreamEvent[] {
  const sequencer = new Sequencer(initial);
  return DRAFTS.slice(0, count).map((draft) => sequencer.next(draft));
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
      const closed = resume(events, []).closings.flatMap((draft) =>
        draft.type === 'response.output_item.done' ? [draft.item.id] : [],
      );
      expect([...ended, ...closed].sort()).toEqual([...opened].sort());
      const sequencer = Sequencer.resume(initial, events);
      expect(() => resume(events, []).closings.forEach((draft) => sequencer.next(draft))).not.toThrow();
    }
  });

  it('tells the model that its code was cut off', () => {
    const { messages, finished, calls } = resume(cutAfter(8), []);
    expect(messages.map((each) => each.role)).toEqual(['assistant', 'tool']);
    expect(messages[0]).toMatchObject({ toolCalls: [{ arguments: '{"code":"print(1)"}' }] });
    expect(JSON.stringify(messages[1])).toContain('restarted');
    expect({ finished, calls }).toEqual({ finished: false, calls: 1 });
  });

  it('gives a finished call with its output and files, and asks for the answer', () => {
    const { messages, finished, closings } = resume(cutAfter(10), [{ path: '/mnt/data/a.csv', bytes: 1 }]);
    expect(messages[1]).toMatchObject({
      role: 'tool',
      parts: [{ text: '1\n' }],
      files: [{ path: '/mnt/data/a.csv' }],
    });
    expect({ finished, closings }).toEqual({ finished: false, closings: [] });
  });

  it('keeps the text of half an answer in the item and out of the model’s memory', () => {
    const { messages, closings } = resume(cutAfter(14), []);
    expect(messages).toHaveLength(2);
    expect(closings.at(-1)).toMatchObject({ item: { status: 'incomplete', content: [{ text: 'one' }] } });
  });

  it('knows when only the terminal event is missing', () => {
    expect(resume(cutAfter(DRAFTS.length), []).finished).toBe(true);
    expect(resume(cutAfter(3), []).finished).toBe(false);
  });
});
