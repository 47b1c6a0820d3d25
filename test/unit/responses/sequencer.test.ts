import { describe, expect, it } from 'vitest';
import { newResponse } from '../../../orchestrator/src/responses/record/new-response.js';
import type {
  DraftEvent,
  MessageItem,
  StreamEvent,
  Usage,
} from '../../../orchestrator/src/responses/response.types.js';
import { Sequencer } from '../../../orchestrator/src/responses/record/sequencer.js';

const initial = newResponse('resp_1', { model: 'python', input: 'x' }, new Date(0));
const usage: Usage = {
  input_tokens: 1,
  input_tokens_details: { cached_tokens: 0, cache_write_tokens: 0 },
  output_tokens: 2,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: 3,
};
const message = (id: string, status: MessageItem['status']): MessageItem => ({
  id,
  type: 'message',
  status,
  role: 'assistant',
  content: [],
});

const DRAFTS: DraftEvent[] = [
  { type: 'response.created' },
  { type: 'response.in_progress' },
  { type: 'response.output_item.added', item: message('msg_a', 'in_progress') },
  { type: 'response.output_item.added', item: message('msg_b', 'in_progress') },
  { type: 'response.output_text.delta', item_id: 'msg_b', content_index: 0, delta: 'x', logprobs: [] },
  { type: 'response.output_item.done', item: message('msg_a', 'completed') },
  { type: 'response.output_item.done', item: message('msg_b', 'completed') },
  { type: 'response.completed', usage },
];

const play = (sequencer: Sequencer, drafts: readonly DraftEvent[]): StreamEvent[] =>
  drafts.map((draft) => sequencer.next(draft));

describe('Sequencer', () => {
  it('numbers from 0 without gaps and gives items of one run their places', () => {
    const events = play(new Sequencer(initial), DRAFTS);
    expect(events.map((event) => event.sequence_number)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(events.map((event) => event['output_index'])).toEqual([
      undefined,
      undefined,
      0,
      1,
      1,
      0,
      1,
      undefined,
    ]);
  });

  it('shows no output before the end and all of it then', () => {
    const events = play(new Sequencer(initial), DRAFTS);
    expect(events[1]!.response!.output).toEqual([]);
    expect(events.at(-1)!.response).toMatchObject({
      status: 'completed',
      usage,
      output: [{ id: 'msg_a', status: 'completed' }, { id: 'msg_b' }],
    });
    expect(events.at(-1)!.response!.completed_at).toBeGreaterThan(0);
  });

  it('goes on where it was cut off, at any point, to the same end', () => {
    const whole = play(new Sequencer(initial), DRAFTS);
    for (let cut = 0; cut <= DRAFTS.length; cut += 1) {
      const stored = JSON.parse(JSON.stringify(whole.slice(0, cut))) as StreamEvent[];
      const resumed = Sequencer.resume(initial, stored);
      const rest = play(resumed, DRAFTS.slice(cut));
      const both = [...stored, ...rest].map((event) => ({
        ...event,
        response: event.response && { ...event.response, completed_at: null },
      }));
      const expected = whole.map((event) => ({
        ...event,
        response: event.response && { ...event.response, completed_at: null },
      }));
      expect(JSON.parse(JSON.stringify(both))).toEqual(JSON.parse(JSON.stringify(expected)));
    }
  });

  it('refuses events for items that were never announced', () => {
    expect(() =>
      new Sequencer(initial).next({
        type: 'response.refusal.delta',
        item_id: 'msg_x',
        content_index: 0,
        delta: '',
      }),
    ).toThrow(/never added/);
  });
});
