/** Bytes → events, and what silence, aborts and broken connections do. */
import { describe, expect, it } from 'vitest';
import { SseParser, SseReader } from '../../../orchestrator/src/llm/chat-completions/sse-reader.js';

const parse = (...texts: string[]) => {
  const parser = new SseParser();
  return [...texts.flatMap((text) => parser.push(text)), ...parser.end()].map(({ data }) => data);
};

describe('the parser', () => {
  it('reads events in any line ends, without a space, over several lines', () => {
    expect(parse('data: 1\n\ndata:2\r\n\r\ndata: 3\r\rdata: a\ndata: b\n\n')).toEqual([
      '1',
      '2',
      '3',
      'a\nb',
    ]);
  });

  it('ignores comments, ids and empty data', () => {
    expect(parse(': OPENROUTER PROCESSING\n\n:\n\ndata:\n\ndata\n\nid: 7\nretry: 3\ndata: x\n\n')).toEqual([
      'x',
    ]);
  });

  it('takes the last event without its blank line', () => {
    expect(parse('data: x')).toEqual(['x']);
  });

  it('tells the name of an event', () => {
    const parser = new SseParser();
    expect(parser.push('event: error\ndata: {}\n\ndata: 1\n\n')).toEqual([
      { event: 'error', data: '{}' },
      { event: '', data: '1' },
    ]);
  });

  it('does not mind where the pieces are cut', () => {
    const text = ': hi\r\n\r\ndata: one\r\ndata: two\r\n\r\ndata: three\n\n';
    for (let at = 0; at <= text.length; at += 1)
      expect(parse(text.slice(0, at), text.slice(at))).toEqual(['one\ntwo', 'three']);
    expect(parse(...text)).toEqual(['one\ntwo', 'three']);
  });

  it('notices what is no event stream', () => {
    const parser = new SseParser();
    parser.push('<html>\n');
    expect(parser.sawOther).toBe(true);
  });
});

interface Source {
  readonly body: ReadableStream<Uint8Array>;
  readonly cancelled: () => boolean;
}

/** Sends the pieces, then stays open. */
function source(pieces: readonly string[]): Source {
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece));
    },
    cancel: () => {
      cancelled = true;
    },
  });
  return { body, cancelled: () => cancelled };
}

async function collect(reader: SseReader): Promise<string[]> {
  const out: string[] = [];
  for await (const { data } of reader.messages()) out.push(data);
  return out;
}

describe('the reader', () => {
  it('gives up after a silence', async () => {
    const { body, cancelled } = source(['data: 1\n\n']);
    const read = collect(new SseReader(body, 30, new AbortController().signal));
    await expect(read).rejects.toMatchObject({ fault: { kind: 'silence', afterMs: 30 } });
    expect(cancelled()).toBe(true);
  });

  it('ends softly when all was said', async () => {
    const reader = new SseReader(source(['data: 1\n\n']).body, 60_000, new AbortController().signal);
    const seen: string[] = [];
    for await (const { data } of reader.messages()) {
      seen.push(data);
      reader.closeSoon(20);
    }
    expect(seen).toEqual(['1']);
  });

  it('stops within moments of an abort, with its reason', async () => {
    const controller = new AbortController();
    const { body, cancelled } = source([]);
    const read = collect(new SseReader(body, 60_000, controller.signal));
    const start = performance.now();
    setTimeout(() => controller.abort(new Error('enough')), 10);
    await expect(read).rejects.toThrow('enough');
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(cancelled()).toBe(true);
  });

  it('does not begin after an abort', async () => {
    const reader = new SseReader(
      source(['data: 1\n\n']).body,
      60_000,
      AbortSignal.abort(new Error('before')),
    );
    await expect(collect(reader)).rejects.toThrow('before');
  });

  it('tells a broken connection', async () => {
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.error(new Error('reset')),
    });
    await expect(collect(new SseReader(body, 60_000, new AbortController().signal))).rejects.toMatchObject({
      fault: { kind: 'connection', reason: 'reset' },
    });
  });
});
