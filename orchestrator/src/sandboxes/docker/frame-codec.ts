/**
 * Frames of the supervisor protocol (sandbox/README.md): two lengths, a JSON header, raw payload.
 * Pure: no sockets here.
 */

/** Bounds in bytes; a frame outside of them ends the connection. */
export const MAX_HEADER_BYTES = 262_144;
export const MAX_PAYLOAD_BYTES = 1_048_576;
const MIN_HEADER_BYTES = 2;
const PREFIX_BYTES = 8;

export type FrameHeader = Readonly<Record<string, unknown>>;

export class Frame {
  readonly header: FrameHeader;
  /** The payload as it arrived, uncopied: what a transfer passes on. */
  readonly pieces: readonly Buffer[];

  constructor(header: FrameHeader, pieces: readonly Buffer[]) {
    this.header = header;
    this.pieces = pieces;
  }

  get payload(): Buffer {
    return join(this.pieces);
  }
}

/** Copies only when there is more than one piece. */
function join(pieces: readonly Buffer[]): Buffer {
  const [only] = pieces;
  return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces);
}

/** The bytes are no frame, or one out of bounds. The connection cannot be used any further. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Lengths and header as one buffer. The payload is written after it by the caller, uncopied.
 * Throws {@link FrameError} when the header or the payload is too large.
 */
export function encodeFrameHead(header: FrameHeader, payloadBytes = 0): Buffer {
  if (payloadBytes > MAX_PAYLOAD_BYTES) {
    throw new FrameError(`a payload of ${payloadBytes} bytes is over ${MAX_PAYLOAD_BYTES}`);
  }
  const json = JSON.stringify(header);
  const headerBytes = Buffer.byteLength(json);
  if (headerBytes > MAX_HEADER_BYTES) {
    throw new FrameError(`a header of ${headerBytes} bytes is over ${MAX_HEADER_BYTES}`);
  }
  const head = Buffer.allocUnsafe(PREFIX_BYTES + headerBytes);
  head.writeUInt32BE(headerBytes, 0);
  head.writeUInt32BE(payloadBytes, 4);
  head.write(json, PREFIX_BYTES, 'utf8');
  return head;
}

function parseHeader(bytes: Buffer): FrameHeader {
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(bytes));
  } catch (cause) {
    throw new FrameError('a header is not UTF-8 JSON', { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new FrameError('a header is not a JSON object');
  }
  return value as FrameHeader;
}

/**
 * Takes bytes as they arrive and gives back whole frames. Keeps at most one unfinished frame, and
 * rejects an oversized one by its lengths alone, before anything of it is stored.
 */
export class FrameDecoder {
  private chunks: Buffer[] = [];
  private buffered = 0;
  private lengths: { readonly header: number; readonly payload: number } | undefined;

  /** Yields each frame that `chunk` completes. Throws {@link FrameError}; then the decoder is spent. */
  *push(chunk: Buffer): Generator<Frame, void, undefined> {
    this.chunks.push(chunk);
    this.buffered += chunk.length;
    for (;;) {
      this.lengths ??= this.takeLengths();
      if (this.lengths === undefined) return;
      const { header, payload } = this.lengths;
      if (this.buffered < header + payload) return;
      this.lengths = undefined;
      yield new Frame(parseHeader(join(this.take(header))), this.take(payload));
    }
  }

  /** True between frames: an end of the connection here cuts nothing in two. */
  get idle(): boolean {
    return this.buffered === 0 && this.lengths === undefined;
  }

  private takeLengths(): { header: number; payload: number } | undefined {
    if (this.buffered < PREFIX_BYTES) return undefined;
    const prefix = join(this.take(PREFIX_BYTES));
    const header = prefix.readUInt32BE(0);
    const payload = prefix.readUInt32BE(4);
    if (header < MIN_HEADER_BYTES || header > MAX_HEADER_BYTES || payload > MAX_PAYLOAD_BYTES) {
      throw new FrameError(`frame out of bounds: header ${header}, payload ${payload} bytes`);
    }
    return { header, payload };
  }

  /** Removes the first `count` bytes, which must be there. */
  private take(count: number): Buffer[] {
    const pieces: Buffer[] = [];
    let missing = count;
    while (missing > 0) {
      const first = this.chunks[0];
      if (first === undefined) throw new FrameError('took more bytes than there are');
      if (first.length > missing) {
        pieces.push(first.subarray(0, missing));
        this.chunks[0] = first.subarray(missing);
        missing = 0;
      } else {
        pieces.push(first);
        this.chunks.shift();
        missing -= first.length;
      }
    }
    this.buffered -= count;
    return pieces;
  }
}
