/** One run of code: from the supervisor's frames to the port's events. */
import type { ExecuteOptions, ExecutionEvent, FileChange } from '../sandbox.driver.js';
import { MAX_CODE_CHARS } from '../../common/code-length.js';
import { SandboxError } from '../sandbox.driver.js';
import { EventQueue } from './event-queue.js';
import type { CallSink, FrameConnection } from './frame-connection.js';
import { MAX_PAYLOAD_BYTES, type Frame, type FrameHeader } from './frame-codec.js';
import {
  executeDone,
  executeEvent,
  parse,
  type ExecuteEvent,
  type FileChangeReply,
} from './supervisor.schema.js';
import { goneError } from './supervisor-errors.js';
import { toFileEntry } from './transfers.js';

/** Milliseconds after which a sandbox that has not begun the code is asked whether it still answers. */
const BEGIN_MS = 10_000;
/** Between asking the code to stop and killing it, in milliseconds. */
export const GRACE_MS = 2_000;
/** Bytes; a longer program is sent as payload. Escapes in JSON make one byte six at most. */
const MAX_CODE_IN_HEADER = 32_768;
type Finished = Extract<ExecutionEvent, { type: 'finished' }>;
type Notice = Extract<ExecutionEvent, { type: 'notice' }>;

/** What an execution needs of its sandbox. */
export interface ExecutionHost {
  connect(): Promise<FrameConnection>;
  interrupt(): Promise<boolean>;
  /** Rejects when the sandbox does not answer. */
  ping(): Promise<unknown>;
  /** Kills by the host's kernel for want of memory so far; `undefined` when it cannot be seen. */
  oomKills(): number | undefined;
  /** Names the reason of the sandbox's end, once it has ended. */
  explainEnd(error: SandboxError): Promise<SandboxError>;
  /** How long a replaced kernel may take to get ready, in milliseconds. */
  readonly restartTimeoutMs: number;
  /** More changes than this cannot be true. */
  readonly maxFileChanges: number;
  /** The supervisor does not answer any more: ends the sandbox's connections. */
  giveUp(reason: SandboxError): void;
}

const KILLED_KERNEL =
  'Python was killed: it needed more memory than the container has. Variables are lost; files in /mnt/data are kept.';
const KILLED_CHILD =
  'A process started by the code was killed: the container ran out of memory. Variables and files are kept.';

const notice = (code: string, message: string): Notice => ({ type: 'notice', code, message });

const toFileChange = (file: FileChangeReply): FileChange => ({ ...toFileEntry(file), change: file.change });

/** `earlier`: changes that were told before the end. */
export function toFinished(header: FrameHeader, earlier: readonly FileChange[] = []): Finished {
  const done = parse(executeDone, header);
  return {
    type: 'finished',
    status: done.status,
    stateLost: done.state_lost,
    durationMs: done.duration_ms,
    peakMemoryBytes: done.peak_memory_bytes,
    files: [...earlier, ...done.files.map(toFileChange)],
    filesTruncated: done.files_truncated,
    ...(done.used_bytes === undefined ? {} : { dataUsedBytes: done.used_bytes }),
  };
}

const neverBegun = (reason: SandboxError): SandboxError =>
  new SandboxError('gone', reason.message, { cause: reason, neverBegun: true });

/** The end of an execution that was aborted before it began. */
export const neverStarted: Finished = {
  type: 'finished',
  status: 'interrupted',
  stateLost: false,
  durationMs: 0,
  peakMemoryBytes: 0,
  files: [],
  filesTruncated: false,
};

/**
 * The supervisor sees its kernel die, the host sees why. A kill for want of memory while the code
 * ran makes `kernel_died` an `out_of_memory`; a killed child deserves at least a notice.
 */
export function judgeMemory(
  finished: Finished,
  hostKilled: boolean,
): readonly [Finished, Notice | undefined] {
  if (!hostKilled || finished.status === 'out_of_memory') return [finished, undefined];
  if (finished.status === 'kernel_died') {
    return [{ ...finished, status: 'out_of_memory' }, notice('out_of_memory', KILLED_KERNEL)];
  }
  return [finished, notice('out_of_memory', KILLED_CHILD)];
}

/** Puts what came in several frames together. */
class ValueAssembler {
  private readonly pieces: Buffer[] = [];
  private bytes = 0;

  constructor(private readonly maxBytes: number) {}

  /** All of it, with its last piece. */
  take(piece: Buffer, more: boolean): Buffer | undefined {
    this.bytes += piece.length;
    if (this.bytes > this.maxBytes) {
      throw new SandboxError('protocol', 'the supervisor sent a larger value than it may');
    }
    this.pieces.push(piece);
    return more ? undefined : Buffer.concat(this.pieces.splice(0), this.bytes);
  }
}

/** Puts images together that came in several frames; drops what is larger than was allowed. */
class ImageAssembler {
  private readonly parts = new Map<number, { readonly pieces: Buffer[]; bytes: number }>();
  private readonly maxBytes: number;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** The whole image, when `more` says that this was its last piece. */
  take(index: number, piece: Buffer, more: boolean): Buffer | undefined {
    const image = this.parts.get(index) ?? { pieces: [], bytes: 0 };
    image.bytes += piece.length;
    if (image.bytes > this.maxBytes) {
      throw new SandboxError('protocol', 'the supervisor sent a larger image than it may');
    }
    image.pieces.push(piece);
    if (more) {
      this.parts.set(index, image);
      return undefined;
    }
    this.parts.delete(index);
    return Buffer.concat(image.pieces, image.bytes);
  }
}

export class Execution implements CallSink {
  readonly events: EventQueue<ExecutionEvent>;
  private readonly host: ExecutionHost;
  private readonly options: ExecuteOptions;
  private readonly images: ImageAssembler;
  private readonly value: ValueAssembler;
  private readonly over = Promise.withResolvers<void>();
  private connection: FrameConnection | undefined;
  private watchdog: NodeJS.Timeout | undefined;
  private beginning: NodeJS.Timeout | undefined;
  private oomKillsBefore: number | undefined;
  private heldNotice: Notice | undefined;
  private readonly changes: FileChange[] = [];
  private phase: 'queued' | 'sent' | 'started' | 'settled' = 'queued';
  private stopRequested = false;
  private readerIsSlow = false;

  constructor(host: ExecutionHost, options: ExecuteOptions) {
    this.host = host;
    this.options = options;
    this.images = new ImageAssembler(options.maxImageBytes);
    this.value = new ValueAssembler(options.values?.maxValueBytes ?? 0);
    this.events = new EventQueue<ExecutionEvent>({
      slow: (isSlow) => this.throttle(isSlow),
      abandoned: () => {
        this.stop();
        return this.over.promise;
      },
    });
    if (options.signal?.aborted === true) this.stop();
    else options.signal?.addEventListener('abort', this.onAbort, { once: true });
  }

  /** Called once, when it is this execution's turn. Resolves at its end; never rejects. */
  async run(code: string): Promise<void> {
    if (this.phase === 'settled') return;
    this.phase = 'sent';
    try {
      if (code.length > MAX_CODE_CHARS) {
        throw new SandboxError('too_large', `the program has more than ${MAX_CODE_CHARS} characters`);
      }
      this.watchBeginning();
      this.connection = await this.host.connect();
      this.watch(this.options.timeoutMs + GRACE_MS + this.host.restartTimeoutMs);
      this.oomKillsBefore = this.host.oomKills();
      await this.send(this.connection, Buffer.from(code), code);
    } catch (error) {
      this.failed(error instanceof SandboxError ? error : goneError('the sandbox cannot be reached', error));
    }
    await this.over.promise;
    clearTimeout(this.watchdog);
    this.connection?.resume();
  }

  /** In the header, in the payload, or in as many frames as it takes. */
  private async send(connection: FrameConnection, program: Buffer, code: string): Promise<void> {
    const inputs = this.options.values?.inputs;
    if (program.length <= MAX_CODE_IN_HEADER && inputs === undefined) {
      connection.call('execute', { code, ...this.fields() }, this);
      return;
    }
    const content = inputs === undefined ? program : Buffer.concat([program, inputs]);
    const first = content.subarray(0, MAX_PAYLOAD_BYTES);
    const lengths = { code_bytes: program.length, inputs_bytes: content.length - program.length };
    const call = connection.call('execute', { ...lengths, ...this.fields() }, this, first);
    for (let at = first.length; at < content.length && this.phase === 'sent'; at += MAX_PAYLOAD_BYTES) {
      await call.write('code', content.subarray(at, at + MAX_PAYLOAD_BYTES));
    }
  }

  event(frame: Frame): void {
    try {
      this.take(parse(executeEvent, frame.header), frame.payload);
    } catch (error) {
      // Whatever comes after it could not be trusted either.
      this.host.giveUp(goneError((error as Error).message, error));
    }
  }

  done(header: FrameHeader): void {
    let finished: Finished;
    try {
      finished = toFinished(header, this.changes);
    } catch (error) {
      this.failed(error as SandboxError);
      return;
    }
    const killsAfter = this.host.oomKills() ?? 0;
    const [judged, added] = judgeMemory(finished, killsAfter > (this.oomKillsBefore ?? killsAfter));
    this.settle([judged.status === 'kernel_died' ? this.heldNotice : undefined, added, judged]);
  }

  failed(error: SandboxError): void {
    const hadBegun = this.phase === 'started';
    if (!this.enterSettled()) return;
    const explained = error.code === 'gone' ? this.host.explainEnd(error) : Promise.resolve(error);
    void explained.then((reason) => {
      this.events.fail(
        hadBegun || reason.code !== 'gone' || reason.outOfMemory ? reason : neverBegun(reason),
      );
      this.over.resolve();
    });
  }

  private readonly onAbort = (): void => this.stop();

  private settle(last: readonly (ExecutionEvent | undefined)[]): void {
    if (!this.enterSettled()) return;
    for (const event of last) if (event !== undefined) this.events.push(event, 0);
    this.events.end();
    this.over.resolve();
  }

  private enterSettled(): boolean {
    if (this.phase === 'settled') return false;
    this.phase = 'settled';
    clearTimeout(this.beginning);
    this.options.signal?.removeEventListener('abort', this.onAbort);
    return true;
  }

  private throttle(isSlow: boolean): void {
    this.readerIsSlow = isSlow;
    if (isSlow && this.phase !== 'settled') this.connection?.pause();
    else this.connection?.resume();
  }

  private fields(): FrameHeader {
    const { timeoutMs, maxOutputBytes, maxImages, maxImageBytes, values } = this.options;
    return {
      ...(values && {
        returns: values.returns,
        max_value_bytes: values.maxValueBytes,
        inputs_from: values.inputsFrom ?? {},
        dataframes: values.dataframes ?? {},
      }),
      timeout_ms: timeoutMs,
      grace_ms: GRACE_MS,
      max_output_bytes: maxOutputBytes,
      max_images: maxImages,
      max_image_bytes: maxImageBytes,
    };
  }

  /** A kernel that is being replaced takes its time, but the supervisor answers meanwhile. */
  private watchBeginning(): void {
    this.beginning = setTimeout(() => {
      if (this.phase !== 'sent') return;
      this.host.ping().then(
        () => this.beginning?.refresh(),
        () => this.host.giveUp(goneError('the sandbox does not answer')),
      );
    }, BEGIN_MS);
  }

  /** The supervisor keeps the time; this is for one that does not. A slow reader is not its fault. */
  private watch(limitMs: number): void {
    this.watchdog = setTimeout(() => {
      if (this.readerIsSlow) this.watchdog?.refresh();
      else this.host.giveUp(goneError(`the sandbox did not end an execution within ${limitMs} ms`));
    }, limitMs);
  }

  /** An interrupt that overtakes its execution would hit nothing: it waits for `started`. */
  private stop(): void {
    const first = !this.stopRequested;
    this.stopRequested = true;
    if (this.phase === 'queued') this.settle([neverStarted]);
    else if (first && this.phase === 'started') this.interrupt();
  }

  private interrupt(): void {
    // Failing means that the sandbox has ended, which the execution learns by itself.
    this.host.interrupt().catch(() => undefined);
  }

  private take(event: ExecuteEvent, payload: Buffer): void {
    switch (event.event) {
      case 'started':
        this.phase = 'started';
        clearTimeout(this.beginning);
        if (this.stopRequested) this.interrupt();
        return;
      case 'stdout':
      case 'stderr':
      case 'display':
      case 'result':
        this.events.push({ type: event.event, text: event.text }, event.text.length);
        return;
      case 'image': {
        const data = this.images.take(event.index, payload, event.more);
        if (data === undefined) return;
        const names = {
          ...(event.title === undefined ? {} : { title: event.title }),
          ...(event.saved_as === undefined ? {} : { savedAs: event.saved_as }),
        };
        this.events.push({ type: 'image', mimeType: event.mime, data, ...names }, data.length);
        return;
      }
      case 'value': {
        const json = this.value.take(payload, event.more);
        if (json !== undefined) this.events.push({ type: 'value', from: event.from, json }, json.length);
        return;
      }
      case 'error': {
        const { name, value, traceback } = event;
        this.events.push({ type: 'error', name, value, traceback }, traceback.length);
        return;
      }
      case 'files':
        this.changes.push(...event.files.map(toFileChange));
        if (this.changes.length > this.host.maxFileChanges) {
          throw new SandboxError('protocol', 'the supervisor reports more files than there may be');
        }
        return;
      case 'notice': {
        const said = notice(event.code, event.message);
        // The host may know better why a kernel died.
        if (event.code === 'kernel_died') this.heldNotice = said;
        else this.events.push(said, event.message.length);
      }
    }
  }
}
