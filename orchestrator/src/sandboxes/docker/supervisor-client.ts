/**
 * The host's side of the supervisor protocol (sandbox/README.md) for one sandbox.
 *
 *   control     ping, configure, interrupt, restart, park, list, remove; its end is the sandbox's end
 *   execution   output waits here while its reader is slow, so that an interrupt never does
 *   transfers   one connection each, or one for many; a bounded number at a time
 */
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { Semaphore } from '../../common/mutex.js';
import {
  SandboxError,
  type FetchedFile,
  type FileEntry,
  type FileSource,
  type OpenedFile,
  type ReadOptions,
  type StoredFile,
} from '../sandbox.driver.js';
import { getFiles, putFiles, type BatchHost } from './batches.js';
import type { FrameHeader } from './frame-codec.js';
import { FrameConnection } from './frame-connection.js';
import { goneError } from './supervisor-errors.js';
import { interruptReply, listReply, parse, pingReply, type PingReply } from './supervisor.schema.js';
import { NotListeningYet, SupervisorSocket } from './supervisor-socket.js';
import { getFile, putFile, toFileEntry } from './transfers.js';

/** How long the supervisor may take, in milliseconds; past it the sandbox counts as lost. */
const PING_TIMEOUT_MS = 10_000;
const CONTROL_TIMEOUT_MS = 30_000;
/** Walking a tree of millions of files takes its time. */
const LIST_TIMEOUT_MS = 120_000;
const IDLE_POLL_MS = 20;
const MAX_TRANSFERS = 16;
const LIST_PAGE = 1_000;

export class SupervisorClient {
  private readonly socket: SupervisorSocket;
  private readonly control: FrameConnection;
  private executionLine: FrameConnection | undefined;
  private readonly transfers = new Semaphore(MAX_TRANSFERS);
  private readonly others = new Set<FrameConnection>();
  /** Resolves when the control connection has ended: by `close`, or because the sandbox has ended. */
  readonly closed: Promise<void>;

  private constructor(socket: SupervisorSocket, control: FrameConnection) {
    this.socket = socket;
    this.control = control;
    this.closed = control.closed.then(() => {
      for (const connection of this.others) connection.destroy();
      void this.socket.close();
    });
  }

  /** `directory` is the sandbox's channel folder. Throws `NotListeningYet` while it boots. */
  static async connect(directory: string): Promise<SupervisorClient> {
    const socket = await SupervisorSocket.open(directory);
    try {
      return new SupervisorClient(socket, new FrameConnection(await socket.connect()));
    } catch (error) {
      await socket.close();
      throw error;
    }
  }

  get open(): boolean {
    return this.control.open;
  }

  async ping(): Promise<PingReply> {
    return parse(pingReply, await this.control.request('ping', {}, PING_TIMEOUT_MS));
  }

  /** Sets the limits of the sandbox and reseeds its kernel, after a warm-up if nobody waits for it. */
  async configure(limits: { memoryBytes: number; maxFiles: number }, warmUp: boolean): Promise<void> {
    const fields = { memory_bytes: limits.memoryBytes, max_files: limits.maxFiles, warm_up: warmUp };
    await this.control.request('configure', fields, CONTROL_TIMEOUT_MS);
  }

  /** True when there was something to interrupt. */
  async interrupt(): Promise<boolean> {
    const reply = await this.control.request('interrupt', {}, CONTROL_TIMEOUT_MS);
    return parse(interruptReply, reply).running;
  }

  /**
   * Ends an execution whose reader is lost, and waits until the supervisor has done with it: its last
   * look at the files comes after the kernel is ready again. Rejects with `busy` past `timeoutMs`.
   */
  async untilIdle(timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (await this.interrupt()) {
      if (Date.now() > deadline) throw new SandboxError('busy', 'an execution without a reader does not end');
      await sleep(IDLE_POLL_MS);
    }
  }

  async restart(timeoutMs: number): Promise<void> {
    await this.control.request('restart', {}, timeoutMs);
  }

  /**
   * Before a checkpoint: the supervisor lets go of the host, which ends all connections, and waits for it to be
   * over. Rejects with `busy` while code runs or files are copied.
   */
  async park(): Promise<void> {
    await this.control.request('park', {}, CONTROL_TIMEOUT_MS);
    await this.closed;
  }

  async remove(path: string): Promise<void> {
    await this.control.request('remove', { path }, CONTROL_TIMEOUT_MS);
  }

  /** At most `limit` files, in the order of their paths. */
  async list(limit: number): Promise<{ entries: FileEntry[]; truncated: boolean; dataUsedBytes?: number }> {
    const entries: FileEntry[] = [];
    for (;;) {
      const wanted = Math.min(LIST_PAGE, limit - entries.length);
      const last = entries.at(-1);
      const fields: FrameHeader =
        last === undefined ? { limit: wanted } : { limit: wanted, after: last.path };
      const page = parse(listReply, await this.control.request('list', fields, LIST_TIMEOUT_MS));
      entries.push(...page.entries.map(toFileEntry));
      const used = page.used_bytes === undefined ? {} : { dataUsedBytes: page.used_bytes };
      if (!page.truncated) return { entries, truncated: !page.complete, ...used };
      if (entries.length >= limit) return { entries, truncated: true, ...used };
      if (page.entries.length === 0)
        throw new SandboxError('protocol', 'the supervisor returned an empty page repeatedly');
    }
  }

  async put(path: string, content: Readable): Promise<FileEntry> {
    const done = await this.transfers.take();
    let connection: FrameConnection | undefined;
    try {
      connection = await this.connect();
      return await putFile(connection, path, content);
    } catch (error) {
      content.destroy();
      throw error;
    } finally {
      connection?.destroy();
      done();
    }
  }

  async get(path: string, options: ReadOptions = {}): Promise<OpenedFile> {
    const done = await this.transfers.take();
    try {
      const connection = await this.connect();
      void connection.closed.finally(done);
      return await getFile(connection, path, options);
    } catch (error) {
      done();
      throw error;
    }
  }

  putMany(files: Iterable<FileSource> | AsyncIterable<FileSource>): AsyncGenerator<StoredFile> {
    return this.batch((host) => putFiles(host, files));
  }

  getMany(paths: readonly string[], options: ReadOptions = {}): AsyncGenerator<FetchedFile> {
    return this.batch((host) => getFiles(host, paths, options));
  }

  /**
   * A connection was lost: is that the end of the sandbox? If the supervisor still answers, only what
   * the connection carried is lost (`protocol`); if not, everything ends with `error`.
   */
  async verdict(error: SandboxError): Promise<SandboxError> {
    if (error.code !== 'gone' || !this.open) return error;
    try {
      await this.ping();
      return new SandboxError('protocol', 'the sandbox cut a connection, but goes on', { cause: error });
    } catch {
      this.close(error);
      return error;
    }
  }

  /** The connection on which executions run, one after another. */
  async execution(): Promise<FrameConnection> {
    if (this.executionLine?.open !== true) this.executionLine = await this.connect();
    return this.executionLine;
  }

  /** Idempotent. Every open call fails with `reason`; the sandbox itself is not touched. */
  close(reason: SandboxError = goneError()): void {
    this.control.destroy(reason);
    for (const connection of this.others) connection.destroy(reason);
  }

  /** Takes one place for as long as the batch goes on. */
  private async *batch<T>(start: (host: BatchHost) => AsyncGenerator<T>): AsyncGenerator<T> {
    const done = await this.transfers.take();
    try {
      yield* start({ connect: () => this.connect(), verdict: (error) => this.verdict(error) });
    } finally {
      done();
    }
  }

  private async connect(): Promise<FrameConnection> {
    if (!this.open) throw goneError();
    let connection: FrameConnection;
    try {
      connection = new FrameConnection(await this.socket.connect());
    } catch (error) {
      throw error instanceof NotListeningYet
        ? goneError('the supervisor of the sandbox does not listen', error)
        : error;
    }
    this.others.add(connection);
    void connection.closed.then(() => this.others.delete(connection));
    if (!this.open) connection.destroy();
    return connection;
  }
}
