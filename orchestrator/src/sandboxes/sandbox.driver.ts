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
  readonly state: 'running' | 'dead';
  readonly memoryBytes: number;
  readonly createdAt: Date;
  readonly labels: Readonly<Record<string, string>>;
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
  /** Aborting interrupts the code; the stream then ends with `finished`, status `interrupted`. */
  readonly signal?: AbortSignal;
}

export type ExecutionStatus = 'completed' | 'timed_out' | 'interrupted' | 'out_of_memory' | 'kernel_died';

export interface FileEntry {
  /** Absolute, below `/mnt/data`. */
  readonly path: string;
  readonly bytes: number;
  readonly modifiedAtMs: number;
}

export interface FileChange extends FileEntry {
  readonly change: 'created' | 'modified' | 'deleted';
}

/** What happened while code ran, in order. The last event is always `finished`. */
export type ExecutionEvent =
  | { readonly type: 'stdout' | 'stderr'; readonly text: string }
  | { readonly type: 'image'; readonly mimeType: 'image/png' | 'image/jpeg'; readonly data: Buffer }
  | { readonly type: 'display'; readonly text: string }
  | { readonly type: 'result'; readonly text: string }
  | { readonly type: 'error'; readonly name: string; readonly value: string; readonly traceback: string }
  | { readonly type: 'notice'; readonly code: string; readonly message: string }
  | {
      readonly type: 'finished';
      readonly status: ExecutionStatus;
      /** Variables are gone: the kernel was replaced. Files are kept. */
      readonly stateLost: boolean;
      readonly durationMs: number;
      readonly peakMemoryBytes: number;
      readonly files: readonly FileChange[];
      readonly filesTruncated: boolean;
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

  /** Called once when a pooled sandbox is given to a container: reseeds random generators. */
  claim(): Promise<void>;
  /** Runs code on the kernel. One at a time per sandbox: a second call waits for the first. */
  execute(code: string, options: ExecuteOptions): AsyncIterable<ExecutionEvent>;
  /** Gives a fresh kernel; files stay. */
  restart(): Promise<void>;
  /** Writes a whole file, atomically; makes parent folders; `no_space` when the data limit is hit. */
  putFile(path: string, content: Readable): Promise<FileEntry>;
  /** Opens a file; the stream yields at most the `bytes` seen at opening. */
  getFile(path: string): Promise<{ readonly bytes: number; readonly content: Readable }>;
  /** Regular files below `/mnt/data`, sorted by path, at most `spec.maxFiles`. */
  listFiles(): Promise<{ readonly entries: readonly FileEntry[]; readonly truncated: boolean }>;
  removeFile(path: string): Promise<void>;
  /** Cheap liveness check, well under a second. */
  ping(): Promise<void>;
}

export type SandboxErrorCode =
  | 'not_found'
  | 'not_a_file'
  | 'invalid_path'
  | 'no_space'
  | 'gone'
  | 'start_failed'
  | 'engine_unavailable'
  | 'busy'
  | 'protocol';

export class SandboxError extends Error {
  override readonly name = 'SandboxError';
  constructor(
    readonly code: SandboxErrorCode,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

/** Token and base class of every driver. */
export abstract class SandboxDriver {
  /** Called at boot, by `/health/ready` and by `npm run doctor`. Never rejects. */
  abstract check(): Promise<DriverHealth>;
  /**
   * Starts a sandbox and resolves when its kernel is ready with the data stack imported. Called by
   * the pool. Leaves nothing behind when it rejects with `start_failed` or `engine_unavailable`.
   */
  abstract create(spec: SandboxSpec): Promise<Sandbox>;
  /**
   * All sandboxes of this installation that the engine knows, also those of a crashed process.
   * Called at boot and by the reconciler.
   */
  abstract list(): Promise<readonly SandboxInfo[]>;
  /** Takes hold of a running sandbox again after a restart; rejects with `gone` if it cannot. */
  abstract attach(id: SandboxId): Promise<Sandbox>;
  /** Ends a sandbox and removes every trace of it. Idempotent. */
  abstract destroy(id: SandboxId): Promise<void>;
  /** Real memory in use by sandboxes and free on the host, in bytes. Called before each start. */
  abstract memory(): Promise<{ readonly usedBytes: number; readonly hostFreeBytes: number }>;
  /** Called at shutdown: closes connections, leaves sandboxes as they are. */
  abstract close(): Promise<void>;
}
