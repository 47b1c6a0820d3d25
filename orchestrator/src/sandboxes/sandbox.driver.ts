/**
 * The port to whatever runs sandboxes. `docker/` implements it with Docker and gVisor; a fake in
 * `test/fakes` implements it without. Both pass `test/contract/sandbox-driver.suite.ts`.
 *
 * A Sandbox is one live isolated instance with a stateful Python kernel and files under
 * `/mnt/data`. It is not the API's Container: a Container is a record that may be served by one
 * Sandbox after another. See docs/glossary.md.
 */
import type { Readable } from 'node:stream';

/** Id of a live sandbox, chosen by the driver; never shown on the wire. */
export type SandboxId = string & { readonly __brand: 'SandboxId' };

/** What to start. Sizes in bytes. */
export interface SandboxSpec {
  /** Memory promised to user code; the host's hard limit lies a little above it. */
  readonly memoryBytes: number;
  /** Size limit of `/mnt/data`, disk-backed. */
  readonly dataBytes: number;
  /** Most files under `/mnt/data` that are listed and kept. */
  readonly maxFiles: number;
  /** Free labels kept with the sandbox so that `list()` can tell whose it is. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** A sandbox as `list()` sees it: also those that an earlier process started and lost. */
export interface SandboxInfo {
  readonly id: SandboxId;
  /** `asleep`: it takes no memory, and `attach` wakes it. */
  readonly state: 'running' | 'asleep' | 'dead';
  readonly memoryBytes: number;
  readonly createdAt: Date;
  readonly labels: Readonly<Record<string, string>>;
  /** Of one that sleeps: since when, and its bytes on disk. */
  readonly asleep?: { readonly since: Date; readonly bytes: number };
}

/** What the driver found out about the host; `problems` are sentences that say what to do. */
export interface DriverHealth {
  readonly ok: boolean;
  readonly runtime: string;
  readonly isolation: 'gvisor' | 'none';
  readonly details: Readonly<Record<string, string>>;
  readonly problems: readonly string[];
}

export interface ExecuteOptions {
  /** Wall clock in milliseconds, counted from the start of the execution. */
  readonly timeoutMs: number;
  readonly maxOutputBytes: number;
  readonly maxImages: number;
  readonly maxImageBytes: number;
  /** What the code finds under its names, and what it gives back; nothing and nothing if absent. */
  readonly values?: ValueOptions;
  /** Aborting interrupts the code; the stream then ends with `finished`, status `interrupted`. */
  readonly signal?: AbortSignal;
}

/** Values go in and out of code as JSON; the sandbox says what it cannot keep exactly (sandbox/README.md). */
export interface ValueOptions {
  /** The text of a JSON object: name of a variable → its value. At most `MAX_INPUT_BYTES`. */
  readonly inputs?: Buffer;
  /** Name of a variable → path of a file below `/mnt/data` whose JSON it gets. */
  readonly inputsFrom?: Readonly<Record<string, string>>;
  /** Name of a pandas DataFrame → name of the input with its rows. */
  readonly dataframes?: Readonly<Record<string, string>>;
  readonly returns: Returns;
  /** A longer value is left out, with the notice `value_dropped`. */
  readonly maxValueBytes: number;
}

/** Most bytes of {@link ValueOptions.inputs}. */
export const MAX_INPUT_BYTES = 33_554_432;

/** `automatic`: the variable `result` if the code sets it, else the value of its last line. */
export type Returns = 'automatic' | 'result' | 'expression' | 'none';

export type ExecutionStatus = 'completed' | 'timed_out' | 'interrupted' | 'out_of_memory' | 'kernel_died';

export interface FileEntry {
  /** Absolute, below `/mnt/data`. */
  readonly path: string;
  /** What a reader gets, holes included. */
  readonly bytes: number;
  readonly modifiedAtMs: number;
  /**
   * Differs whenever the file was changed or replaced, also where code set its time back: user code cannot
   * choose it. Holds for this sandbox only. Absent: it was deleted, or an older release started the sandbox.
   */
  readonly stamp?: string;
  /**
   * Most bytes that the file can take on the sandbox's disk, where that is known to be less than
   * `bytes`: a sparse file. Absent: as `bytes`.
   */
  readonly storedBytes?: number;
  /**
   * The same for all names of one file (hard links), different for different files. Holds within
   * one report or list only. Absent: the file has one name.
   */
  readonly identity?: string;
}

export interface ReadOptions {
  /** Files with more `bytes` than this are refused as `too_large`, before anything is read. */
  readonly maxBytes?: number;
}

/** A file on its way out. */
export interface OpenedFile {
  readonly bytes: number;
  /**
   * At most `bytes` bytes. Blocks of zeros do not travel; they are made up here. Fails with
   * `changed` if the file became shorter meanwhile, with other codes as {@link Sandbox.getFile}.
   */
  readonly content: Readable;
}

/** One file of {@link Sandbox.getFiles}: opened, or why it could not be. */
export type FetchedFile =
  | { readonly path: string; readonly entry: FileEntry; readonly content: Readable }
  | { readonly path: string; readonly error: SandboxError };

/** One file of {@link Sandbox.putFiles}. */
export interface FileSource {
  readonly path: string;
  readonly content: Readable;
}

/** What became of one file: stored, refused by the sandbox, or the source's own error. */
export type StoredFile =
  | { readonly path: string; readonly entry: FileEntry }
  | { readonly path: string; readonly error: Error };

export interface FileList {
  readonly entries: readonly FileEntry[];
  /** There are more files than `spec.maxFiles`. */
  readonly truncated: boolean;
  /** Bytes that `/mnt/data` takes on its disk, where the sandbox knows. */
  readonly dataUsedBytes?: number;
}

export interface FileChange extends FileEntry {
  readonly change: 'created' | 'modified' | 'deleted';
}

/** What happened while code ran, in order. The last event is always `finished`. */
export type ExecutionEvent =
  | { readonly type: 'stdout' | 'stderr'; readonly text: string }
  | {
      readonly type: 'image';
      readonly mimeType: 'image/png' | 'image/jpeg';
      readonly data: Buffer;
      /** What the figure is called in the picture, in the words of user code. */
      readonly title?: string;
      /** Where this execution saved the same figure: a path that user code named. */
      readonly savedAs?: string;
    }
  | { readonly type: 'display'; readonly text: string }
  | { readonly type: 'result'; readonly text: string }
  | { readonly type: 'error'; readonly name: string; readonly value: string; readonly traceback: string }
  /** At most one, and only of code that comes to its end. `json` is text that nobody has checked yet. */
  | { readonly type: 'value'; readonly from: 'result' | 'expression'; readonly json: Buffer }
  | { readonly type: 'notice'; readonly code: string; readonly message: string }
  | {
      readonly type: 'finished';
      readonly status: ExecutionStatus;
      /** Variables are gone: the kernel was replaced. Files are kept. */
      readonly stateLost: boolean;
      readonly durationMs: number;
      readonly peakMemoryBytes: number;
      /** All changes since the last report, however many. */
      readonly files: readonly FileChange[];
      /**
       * There are more files than are looked at, or the look failed: some changes may be missing,
       * and the next report names them if they are then among the files looked at.
       */
      readonly filesTruncated: boolean;
      /**
       * Bytes that `/mnt/data` takes on its disk. Where the sum of all `bytes` is larger, files are
       * sparse or linked.
       */
      readonly dataUsedBytes?: number;
    };

/**
 * A live sandbox. Every method rejects with a {@link SandboxError}; `gone` means that this instance
 * will never answer again and must be replaced.
 */
export interface Sandbox {
  readonly id: SandboxId;
  readonly spec: SandboxSpec;
  /** Resolves once, when the instance has ended for whatever reason; never rejects. */
  readonly closed: Promise<void>;

  /**
   * Called once, by the pool when it has started: sets the limits of the spec, reseeds random generators. `warmUp`:
   * nobody waits for it, so it may take half a second in which what users run first is run and forgotten.
   */
  claim(warmUp?: boolean): Promise<void>;
  /**
   * Runs code on the kernel. One at a time per sandbox: a second call waits for the first. Code over
   * `MAX_CODE_CHARS` (common/code-length.ts) is refused as `too_large`. A sandbox that has ended, or does not begin
   * the code within some seconds, rejects with `gone` and `neverBegun`: no event was told then.
   */
  execute(code: string, options: ExecuteOptions): AsyncIterable<ExecutionEvent>;
  /** Gives a fresh kernel; files stay. */
  restart(): Promise<void>;
  /** Writes a whole file, atomically; makes parent folders; `no_space` when the data limit is hit. */
  putFile(path: string, content: Readable): Promise<FileEntry>;
  /**
   * Writes many files over one connection, one after the other; yields what became of each, in
   * order. One that is refused does not stop the others; only the end of the sandbox rejects.
   * `files` is asked for the next one when the one before is done.
   */
  putFiles(files: Iterable<FileSource> | AsyncIterable<FileSource>): AsyncIterable<StoredFile>;
  /** Opens a file. */
  getFile(path: string, options?: ReadOptions): Promise<OpenedFile>;
  /**
   * Opens many files over one connection, one after the other, in the order of `paths`. Each
   * `content` is to be read or destroyed before the next file is asked for; what is left of it
   * then is passed over. A file that cannot be opened is an `error`, one that fails while it is
   * read fails its `content`; neither stops the others. Only the end of the sandbox rejects.
   */
  getFiles(paths: readonly string[], options?: ReadOptions): AsyncIterable<FetchedFile>;
  /** Regular files below `/mnt/data`, sorted by path, at most `spec.maxFiles`. */
  listFiles(): Promise<FileList>;
  removeFile(path: string): Promise<void>;
  /** Cheap liveness check, well under a second. */
  ping(): Promise<void>;
}

export type SandboxErrorCode =
  | 'not_found'
  | 'not_a_file'
  | 'invalid_path'
  | 'no_space'
  /** The file became shorter, or was replaced, while it was copied. Trying again may help. */
  | 'changed'
  /** More bytes than the caller allows, or than the sandbox's disk can hold; or a program that is too long. */
  | 'too_large'
  | 'gone'
  | 'start_failed'
  | 'engine_unavailable'
  | 'busy'
  | 'protocol';

export class SandboxError extends Error {
  override readonly name = 'SandboxError';
  /** With `gone`: user code took more memory than there was, and the host ended all of it. */
  readonly outOfMemory: boolean;
  /** With `gone`, of an execution: the sandbox ended before it said that it had begun the code. */
  readonly neverBegun: boolean;

  constructor(
    readonly code: SandboxErrorCode,
    message: string,
    options?: { cause?: unknown; outOfMemory?: boolean; neverBegun?: boolean },
  ) {
    super(message, options);
    this.outOfMemory = options?.outOfMemory ?? false;
    this.neverBegun = options?.neverBegun ?? false;
  }
}

/** Token and base class of every driver. */
export abstract class SandboxDriver {
  /** Called at boot, by `/health/ready` and by `npm run doctor`. Never rejects. */
  abstract check(): Promise<DriverHealth>;
  /**
   * Starts a sandbox and resolves when its kernel is ready with the data stack imported. Called by
   * the pool. Leaves nothing behind when it rejects with `start_failed` or `engine_unavailable`. A start
   * that is given up rejects with `start_failed` as soon as the engine can be told.
   */
  abstract create(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox>;
  /**
   * All sandboxes of this installation that the engine knows, also those of a crashed process.
   * Called at boot and by the reconciler.
   */
  abstract list(): Promise<readonly SandboxInfo[]>;
  /**
   * Takes hold of a running sandbox again after a restart, or wakes one that sleeps, which is another start. Rejects
   * with `gone` if it cannot.
   */
  abstract attach(id: SandboxId): Promise<Sandbox>;
  /** Whether `attach` would have to wake it. */
  abstract isAsleep(id: SandboxId): Promise<boolean>;
  /**
   * Writes a sandbox that nobody uses to disk, with its variables, and ends it; `attach` goes on with it. Rejects with
   * `busy`, and the sandbox goes on as it was, while code runs or files are copied, or where this is not possible.
   * After any other rejection the object is spent; `attach` tells whether the sandbox is there.
   */
  abstract hibernate(id: SandboxId): Promise<void>;
  /** Removes one that sleeps, for good; one that is awake, also since a moment ago, goes on. Idempotent. */
  abstract giveUpAsleep(id: SandboxId): Promise<void>;
  /** Ends a sandbox, awake or asleep, and removes every trace of it. Idempotent. */
  abstract destroy(id: SandboxId): Promise<void>;
  /** Real memory in use by sandboxes and free on the host, in bytes. Called before each start. */
  abstract memory(): Promise<{ readonly usedBytes: number; readonly hostFreeBytes: number }>;
  /** Called at shutdown: closes connections, leaves sandboxes as they are. */
  abstract close(): Promise<void>;
}
