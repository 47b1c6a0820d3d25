/** Reads server-sent events off a reply, watches for silence, and stops within moments of an abort. */
import { UpstreamFault } from './upstream-fault.js';

export interface SseMessage {
  /** Empty when the endpoint named none. */
  readonly event: string;
  readonly data: string;
}

/** A single event larger than this is not an answer. */
const MAX_EVENT_CHARACTERS = 32 * 1024 * 1024;

/** Characters in any pieces → events. Pure. */
export class SseParser {
  private rest = '';
  private event = '';
  private data: string[] = [];
  private size = 0;
  private afterReturn = false;
  /** Something other than events was seen. */
  sawOther = false;

  push(text: string): SseMessage[] {
    const messages: SseMessage[] = [];
    let input = text;
    if (this.afterReturn && input.startsWith('\n')) input = input.slice(1);
    if (input !== '') this.afterReturn = input.endsWith('\r');
    // Only what is new is searched: a long line in many pieces would be read again for each.
    const lines = input.split(/\r\n|\n|\r/);
    lines[0] = this.rest + (lines[0] ?? '');
    this.rest = lines.pop() ?? '';
    for (const line of lines) this.take(line, messages);
    if (this.size + this.rest.length > MAX_EVENT_CHARACTERS)
      throw new UpstreamFault({ kind: 'garbage', what: 'an endless event' });
    return messages;
  }

  /** The last event may lack its blank line. */
  end(): SseMessage[] {
    const messages: SseMessage[] = [];
    if (this.rest !== '') this.take(this.rest, messages);
    this.rest = '';
    this.take('', messages);
    return messages;
  }

  private take(line: string, messages: SseMessage[]): void {
    if (line === '') {
      const data = this.data.join('\n');
      if (data !== '') messages.push({ event: this.event, data });
      this.event = '';
      this.data = [];
      this.size = 0;
      return;
    }
    const match = /^(data|event|id|retry)?(?::\s?|$)([\s\S]*)$/.exec(line);
    if (!match) {
      this.sawOther = true;
      return;
    }
    if (match[1] === 'data') {
      this.data.push(match[2]!);
      this.size += line.length;
    }
    if (match[1] === 'event') this.event = match[2]!;
  }
}

/** The end of a reply follows the last event at once, or the connection is given up. */
const DRAIN_MS = 1_000;

export class SseReader {
  private readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  private readonly decoder = new TextDecoder();
  private timer: NodeJS.Timeout;
  private stopped: { readonly error: unknown } | null = null;

  /** `idleMs`: longest silence, comments of keep-alive included. */
  constructor(
    body: ReadableStream<Uint8Array>,
    idleMs: number,
    private readonly signal: AbortSignal,
  ) {
    this.reader = body.getReader();
    this.timer = setTimeout(() => this.stop(new UpstreamFault({ kind: 'silence', afterMs: idleMs })), idleMs);
    signal.addEventListener('abort', this.onAbort, { once: true });
    if (signal.aborted) this.onAbort();
  }

  /** All is said but perhaps the usage: from now on a short silence ends the stream without a fault. */
  closeSoon(afterMs: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.stop(null), afterMs);
  }

  /** Rejects with UpstreamFault, or with the reason of the abort. */
  async *messages(): AsyncGenerator<SseMessage> {
    const parser = new SseParser();
    for await (const piece of this.pieces()) yield* parser.push(piece);
    yield* parser.end();
    if (parser.sawOther) throw new UpstreamFault({ kind: 'garbage', what: 'not an event stream' });
  }

  /** The body as text, for replies that are no event stream. Rejects as `messages` does. */
  async *pieces(): AsyncGenerator<string> {
    try {
      for (;;) {
        const { done, value } = await this.read();
        if (done) break;
        this.timer.refresh();
        yield this.decoder.decode(value, { stream: true });
      }
      yield this.decoder.decode();
    } finally {
      clearTimeout(this.timer);
      this.signal.removeEventListener('abort', this.onAbort);
      void this.drain();
    }
  }

  /** What follows the end is read and dropped, so that the connection can serve the next turn. */
  private async drain(): Promise<void> {
    const cancel = () => void this.reader.cancel().catch(() => {});
    const timer = setTimeout(cancel, this.stopped === null ? DRAIN_MS : 0);
    try {
      while (!(await this.reader.read()).done);
    } catch {
      // It broke; there is nothing to lose any more.
    } finally {
      clearTimeout(timer);
    }
  }

  private async read(): Promise<{ done: boolean; value?: Uint8Array | undefined }> {
    try {
      const result = await this.reader.read();
      if (this.stopped === null) return result;
    } catch (error) {
      if (this.stopped === null)
        throw new UpstreamFault({ kind: 'connection', reason: (error as Error).message });
    }
    if (this.stopped.error === null) return { done: true };
    // The reason of an abort is the caller's, whatever it is.
    return Promise.reject(this.stopped.error);
  }

  private readonly onAbort = (): void => this.stop(this.signal.reason);

  private stop(error: unknown): void {
    this.stopped ??= { error };
    this.reader.cancel().catch(() => {});
  }
}
