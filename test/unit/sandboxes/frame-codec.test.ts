import { describe, expect, it } from 'vitest';
import {
  encodeFrameHead,
  FrameDecoder,
  FrameError,
  MAX_HEADER_BYTES,
  MAX_PAYLOAD_BYTES,
  type Frame,
} from '../../../orchestrator/src/sandboxes/docker/frame-codec.js';

function encode(header: Record<string, unknown>, payload: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([encodeFrameHead(header, payload.length), payload]);
}

function prefix(header: number, payload: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32BE(header, 0);
  bytes.writeUInt32BE(payload, 4);
  return bytes;
}

const plain = (frames: Iterable<Frame>): unknown[] =>
  [...frames].map(({ header, payload }) => [header, payload.toString('latin1')]);

describe('frames', () => {
  const stream = Buffer.concat([
    encode({ id: 1, op: 'ping' }),
    encode({ id: 2, text: 'žluťoučký 🐎 \u2028' }, Buffer.from('payload\0\xff', 'latin1')),
    encode({}),
  ]);
  const expected = plain(new FrameDecoder().push(stream));

  it('come back as they went', () => {
    expect(expected).toEqual([
      [{ id: 1, op: 'ping' }, ''],
      [{ id: 2, text: 'žluťoučký 🐎 \u2028' }, 'payload\0\xff'],
      [{}, ''],
    ]);
  });

  it('may be cut at every byte', () => {
    for (let cut = 0; cut <= stream.length; cut += 1) {
      const decoder = new FrameDecoder();
      const frames = [...decoder.push(stream.subarray(0, cut)), ...decoder.push(stream.subarray(cut))];
      expect(plain(frames)).toEqual(expected);
      expect(decoder.idle).toBe(true);
    }
  });

  it('may arrive byte by byte', () => {
    const decoder = new FrameDecoder();
    const frames: Frame[] = [];
    for (const byte of stream) frames.push(...decoder.push(Buffer.from([byte])));
    expect(plain(frames)).toEqual(expected);
  });

  it('keep file names whose bytes are no UTF-8', () => {
    const [frame] = [...new FrameDecoder().push(encode({ path: '/mnt/data/\udce9' }))];
    expect(frame?.header).toEqual({ path: '/mnt/data/\udce9' });
  });

  it('are known to be unfinished', () => {
    const decoder = new FrameDecoder();
    expect([...decoder.push(stream.subarray(0, 9))]).toEqual([]);
    expect(decoder.idle).toBe(false);
  });

  it('may have the largest payload, and no larger one', () => {
    const payload = Buffer.alloc(MAX_PAYLOAD_BYTES, 7);
    const [frame] = [...new FrameDecoder().push(encode({ id: 1 }, payload))];
    expect(frame?.payload.equals(payload)).toBe(true);
    expect(() => encodeFrameHead({}, MAX_PAYLOAD_BYTES + 1)).toThrow(FrameError);
  });

  it('may have the largest header, and no larger one', () => {
    const text = 'x'.repeat(MAX_HEADER_BYTES - '{"a":""}'.length);
    expect([...new FrameDecoder().push(encode({ a: text }))]).toHaveLength(1);
    expect(() => encodeFrameHead({ a: `${text}x` })).toThrow(FrameError);
  });

  it.each([
    ['a header of one byte', prefix(1, 0)],
    ['a header over the bound', prefix(MAX_HEADER_BYTES + 1, 0)],
    ['a payload over the bound', prefix(2, MAX_PAYLOAD_BYTES + 1)],
    ['lengths of 4 GiB', prefix(0xffffffff, 0xffffffff)],
    ['a header that is no JSON', Buffer.concat([prefix(2, 0), Buffer.from('{x')])],
    ['a header that is no UTF-8', Buffer.concat([prefix(4, 0), Buffer.from('"\xff\xfe"', 'latin1')])],
    ['a header that is an array', Buffer.concat([prefix(2, 0), Buffer.from('[]')])],
    ['a header that is null', Buffer.concat([prefix(4, 0), Buffer.from('null')])],
  ])('refuses %s', (_, bytes) => {
    expect(() => [...new FrameDecoder().push(bytes)]).toThrow(FrameError);
  });
});
