/**
 * Sandboxes ready to be used. A warm one costs nothing more, a cold one a start (seconds).
 * Knows no containers: who uses a sandbox, and which may be given up, it asks a {@link Reclaimer}.
 *
 * One place starts sandboxes (`pump`): those somebody waits for before spares, a few at a time, each only
 * when memory was set aside for it. Whoever waits takes the first one of their size that is ready,
 * whatever it was started for.
 */
import { availableParallelism } from 'node:os';
import { type BeforeApplicationShutdown, Inject, Injectable, Logger } from '@nestjs/common';
import { ApiError } from '../common/api-error.js';
import { formatBytes, memoryBytes } from '../common/memory-size.js';
import { Semaphore } from '../common/mutex.js';
import { settledWithin } from '../common/settled-within.js';
import { ENV } from '../config/config.module.js';
import { type Env, MEMORY_SIZES, type MemorySize } from '../config/env.schema.js';
import { couldNotStart, noCapacity } from './capacity-errors.js';
import { LateReclaimer } from './late-reclaimer.js';
import { MemoryAdmission } from './memory-admission.js';
import type { Reclaimer } from './reclaimer.js';
import {
  type Sandbox,
  SandboxDriver,
  SandboxError,
  type SandboxId,
  type SandboxSpec,
} from './sandbox.driver.js';
import { type QueueState, StartQueue } from './start-queue.js';

/** Milliseconds that an engine which does not answer is waited for before clients are told. */
const ENGINE_PATIENCE_MS = 20_000;
/** Milliseconds between two attempts on such an engine. */
const ENGINE_RETRY_MS = 500;
/** Milliseconds that a stop waits for starts to be given up. */
const LAST_STARTS_MS = 8_000;
/** Milliseconds after its last use in which one of a size is kept ready that the operator keeps none of. */
const RECENTLY_MS = 3_600_000;
/** Milliseconds without a take after which spares are started: their start would slow down what was taken. */
const QUIET_MS = 300;
/** Milliseconds that takes, one after the other, may put it off. */
const MOST_QUIET_MS = 1_500;

export interface PoolState {
  readonly size: MemorySize;
  readonly target: number;
  readonly warm: number;
  readonly starting: number;
  /** Who waits for one, and for how long the first of them has. */
  readonly queue: QueueState;
}

@Injectable()
export class SandboxPool implements BeforeApplicationShutdown {
  private readonly logger = new Logger(SandboxPool.name);
  private readonly warm: Record<MemorySize, Sandbox[]> = { '1g': [], '4g': [], '16g': [], '64g': [] };
  /** Sandboxes this process started and that still live, whoever has them. */
  private readonly own = new Set<string>();
  private readonly queue = new StartQueue();
  private readonly starts = new Set<Promise<void>>();
  /** Ends of sandboxes that nobody waits for. */
  private readonly ends = new Set<Promise<void>>();
  private readonly admission: MemoryAdmission;
  private draining = false;
  private readonly stop = new AbortController();
  /** No spare is started before somebody looks again: the last attempt failed, memory is short, or one was just taken. */
  private refillHeld = false;
  private engineDownSince: number | undefined;
  private retry: NodeJS.Timeout | undefined;
  private quiet: NodeJS.Timeout | undefined;
  private readonly askedAt: Partial<Record<MemorySize, number>> = {};
  private readonly parallelStarts: number;
  private readonly wakes: Semaphore;
  /** When the spare was taken that the refill is put off for; undefined when it is not. */
  private takenAt: number | undefined;

  constructor(
    private readonly driver: SandboxDriver,
    @Inject(LateReclaimer) reclaimer: Reclaimer,
    @Inject(ENV) private readonly env: Env,
  ) {
    const sources = {
      giveUpSpare: () => this.giveUpSpare(),
      giveUpIdlest: (minIdleMs: number) => reclaimer.giveUpIdlest(minIdleMs),
    };
    this.parallelStarts = env.SANDBOX_PARALLEL_STARTS ?? Math.max(2, availableParallelism());
    this.wakes = new Semaphore(this.parallelStarts);
    this.admission = new MemoryAdmission(driver, env.MEMORY_FLOOR_BYTES, sources, this.logger);
  }

  specOf(size: MemorySize): SandboxSpec {
    return {
      memoryBytes: memoryBytes[size],
      dataBytes: this.env.SANDBOX_DATA_BYTES,
      maxFiles: this.env.SANDBOX_MAX_FILES,
      labels: { size },
    };
  }

  /**
   * A sandbox of this size for one container: warm if there is one, else the next that is ready, by turns among
   * the owners, which are projects. Rejects with 503 `sandbox_capacity` when the host is out of memory, when the
   * engine has not answered for 20 seconds, and after SANDBOX_QUEUE_MS in line.
   */
  async acquire(size: MemorySize, owner: string): Promise<Sandbox> {
    if (this.stop.signal.aborted) throw noCapacity('The server is being stopped.');
    this.askedAt[size] = Date.now();
    const sandbox = this.warm[size].shift() ?? (await this.wait(size, owner));
    this.refillLater();
    return sandbox;
  }

  /**
   * The sandbox of a container that was out of reach: one that an earlier process left running, or one that sleeps,
   * which is a start like any other to the host. Rejects as `acquire` and `SandboxDriver.attach` do.
   */
  async attach(id: SandboxId): Promise<Sandbox> {
    if (!(await this.driver.isAsleep(id))) return this.driver.attach(id);
    return this.wakes.run(async () => {
      if (!(await this.admission.reserveForUser())) throw this.shortOfMemory();
      try {
        return await this.driver.attach(id);
      } finally {
        this.admission.release();
      }
    });
  }

  /** Starts what is missing; called after boot, from time to time, and a moment after one was taken. */
  refill(): void {
    clearTimeout(this.quiet);
    this.takenAt = undefined;
    this.refillHeld = false;
    for (const size of MEMORY_SIZES)
      for (const spare of this.warm[size].splice(this.target(size))) this.discard(spare);
    this.pump();
  }

  /** Resolves when nothing is being started any more. */
  async settled(): Promise<void> {
    while (this.starts.size + this.ends.size > 0) await Promise.all([...this.starts, ...this.ends]);
  }

  /** Called every second by the watch of the memory. */
  watchMemory(): Promise<void> {
    return this.admission.watch();
  }

  /** Whether idle sandboxes had better sleep, before their memory has to be waited for. Rejects as the driver does. */
  isMemoryScarce(): Promise<boolean> {
    return this.admission.isScarce();
  }

  /** Live sandboxes this process started, warm or in use; the reconciler leaves them alone. */
  ownIds(): ReadonlySet<string> {
    return this.own;
  }

  /** Called before one is ended: if the engine does not do it, the reconciler shall. */
  disown(id: string): void {
    this.own.delete(id);
  }

  state(): readonly PoolState[] {
    return MEMORY_SIZES.map((size) => ({
      size,
      target: this.target(size),
      warm: this.warm[size].length,
      starting: this.queue.starting(size),
      queue: this.queue.state(size),
    }));
  }

  /** Work that waits is done first. */
  get isStarting(): boolean {
    return this.queue.running > 0;
  }

  /** Whether sandboxes in use outlive an orderly stop, so that the next process finds their variables. */
  get keepsSandboxesAtStop(): boolean {
    return this.env.SANDBOXES_AT_STOP === 'keep';
  }

  /** Ends the warm sandboxes and keeps no others warm; who waits is still served. Never rejects. */
  async drain(): Promise<void> {
    this.draining = true;
    await Promise.all(
      MEMORY_SIZES.flatMap((size) => this.warm[size].splice(0)).map((each) => this.end(each)),
    );
  }

  resume(): void {
    this.draining = false;
    this.refill();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stop.abort();
    clearTimeout(this.retry);
    clearTimeout(this.quiet);
    this.queue.rejectAll(noCapacity('The server is being stopped.'));
    // What takes longer is the next start's to sweep.
    await Promise.all([this.drain(), settledWithin(LAST_STARTS_MS, this.settled())]);
  }

  /** After a moment of quiet; those who wait for a start of their own are not put off. */
  private refillLater(): void {
    const now = Date.now();
    this.takenAt ??= now;
    this.refillHeld = true;
    clearTimeout(this.quiet);
    const inMs = Math.max(0, Math.min(QUIET_MS, this.takenAt + MOST_QUIET_MS - now));
    this.quiet = setTimeout(() => this.refill(), inMs).unref();
  }

  private async wait(size: MemorySize, owner: string): Promise<Sandbox> {
    const refusal = noCapacity(
      'No sandbox became ready in time; too many are being started. Please retry in a moment.',
    );
    const { sandbox, place } = this.queue.join(size, owner, this.env.SANDBOX_QUEUE_MS, refusal);
    const beganAt = Date.now();
    if (place > 0) this.logger.log({ size, projectId: owner, place }, 'waiting in line for a sandbox');
    this.pump();
    const taken = await sandbox;
    if (place > 0)
      this.logger.log(
        { size, projectId: owner, waitedMs: Date.now() - beganAt },
        'got a sandbox from the line',
      );
    return taken;
  }

  /** What the operator asks for, and one of any other size that is in use these days. */
  private target(size: MemorySize): number {
    const wanted = this.env.SANDBOX_POOL[size];
    const isKept = MEMORY_SIZES.some((each) => this.env.SANDBOX_POOL[each] > 0);
    if (wanted > 0 || !isKept) return wanted;
    return Date.now() - (this.askedAt[size] ?? -Infinity) < RECENTLY_MS ? 1 : 0;
  }

  /** Starts as many as may start at once. Takes their places before anything is awaited. */
  private pump(): void {
    if (this.retry !== undefined || this.stop.signal.aborted) return;
    while (this.queue.running < this.parallelStarts) {
      const wanted = this.queue.wanted();
      const size = wanted ?? MEMORY_SIZES.find((each) => this.missing(each) > 0);
      if (size === undefined) return;
      this.queue.begin(size);
      const start = this.start(size, wanted !== undefined).finally(() => {
        this.starts.delete(start);
        this.pump();
      });
      this.starts.add(start);
    }
  }

  private missing(size: MemorySize): number {
    if (this.draining || this.refillHeld) return 0;
    return this.target(size) - this.warm[size].length - this.queue.starting(size);
  }

  /** One start, from the place it has taken to the hands it goes to. Never rejects. */
  private async start(size: MemorySize, forUser: boolean): Promise<void> {
    try {
      const sandbox = await this.create(size, forUser);
      this.engineDownSince = undefined;
      this.queue.end(size);
      this.deliver(size, sandbox);
    } catch (error) {
      this.queue.end(size);
      this.failed(size, forUser, error);
    }
  }

  private async create(size: MemorySize, forUser: boolean): Promise<Sandbox> {
    const fits = await (forUser ? this.admission.reserveForUser() : this.admission.reserveForSpare());
    if (!fits) throw this.shortOfMemory();
    try {
      const sandbox = await this.driver.create(this.specOf(size), this.stop.signal);
      this.own.add(sandbox.id);
      void sandbox.closed.then(() => this.ended(size, sandbox));
      await this.claim(sandbox, !forUser);
      return sandbox;
    } finally {
      this.admission.release();
    }
  }

  /** Here, and not when somebody waits for it. */
  private async claim(sandbox: Sandbox, warmUp: boolean): Promise<void> {
    try {
      await sandbox.claim(warmUp);
    } catch (error) {
      this.discard(sandbox);
      throw error;
    }
  }

  private deliver(size: MemorySize, sandbox: Sandbox): void {
    if (this.queue.hand(size, sandbox)) return;
    if (!this.draining && this.warm[size].length < this.target(size)) this.warm[size].push(sandbox);
    else this.discard(sandbox);
  }

  private failed(size: MemorySize, forUser: boolean, error: unknown): void {
    if (this.stop.signal.aborted) return;
    if (!forUser) {
      this.refillHeld = true;
      this.logger.warn(
        { err: error, size },
        'a spare sandbox could not be started; the next look tries again',
      );
    }
    if (error instanceof SandboxError && error.code === 'engine_unavailable') this.engineFailed(error);
    // A start for a spare that fails leaves whoever waits to a start of their own.
    else if (forUser) {
      this.engineDownSince = undefined;
      if (!(error instanceof ApiError)) this.logger.error({ err: error, size }, 'a sandbox did not start');
      this.queue.rejectOne(size, error instanceof ApiError ? error : couldNotStart(error));
    }
  }

  /** The engine may be on its way back: who waits goes on waiting, but not for ever. */
  private engineFailed(error: SandboxError): void {
    this.engineDownSince ??= Date.now();
    if (Date.now() - this.engineDownSince >= ENGINE_PATIENCE_MS) {
      this.logger.error({ err: error }, 'the sandbox engine does not answer');
      this.queue.rejectAll(
        noCapacity('The sandbox engine of this server does not answer at the moment. Please retry.', error),
      );
    }
    this.retry ??= setTimeout(() => {
      this.retry = undefined;
      this.pump();
    }, ENGINE_RETRY_MS).unref();
  }

  /** A sandbox has ended for whatever reason. If it was warm, nobody else looks after its remains. */
  private ended(size: MemorySize, sandbox: Sandbox): void {
    this.own.delete(sandbox.id);
    const index = this.warm[size].indexOf(sandbox);
    if (index < 0) return;
    this.warm[size].splice(index, 1);
    this.discard(sandbox);
    this.pump();
  }

  /** Ends one warm sandbox, of the size that has most of them. */
  private async giveUpSpare(): Promise<boolean> {
    const [size] = MEMORY_SIZES.toSorted((a, b) => this.warm[b].length - this.warm[a].length);
    const spare = this.warm[size!].shift();
    if (!spare) return false;
    this.refillHeld = true;
    this.logger.warn({ size, sandboxId: spare.id }, 'gave up a spare sandbox: memory is short');
    await this.end(spare);
    return true;
  }

  private discard(sandbox: Sandbox): void {
    const end = this.end(sandbox).finally(() => this.ends.delete(end));
    this.ends.add(end);
  }

  /** Never rejects: what the engine could not remove now is the sweep's to remove. */
  private async end(sandbox: Sandbox): Promise<void> {
    this.own.delete(sandbox.id);
    try {
      await this.driver.destroy(sandbox.id);
    } catch (error) {
      this.logger.warn(
        { err: error, sandboxId: sandbox.id },
        'a sandbox could not be removed; the next sweep tries again',
      );
    }
  }

  private shortOfMemory(): ApiError {
    return noCapacity(
      `This server has less than ${formatBytes(this.env.MEMORY_FLOOR_BYTES)} of free memory, and no sandbox can be given up for another. Retry when a running execution has ended.`,
    );
  }
}
