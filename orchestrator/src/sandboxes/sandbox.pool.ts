/**
 * Sandboxes ready to be used. A warm one costs a claim (milliseconds), a cold one a start (seconds).
 * Knows no containers: who uses a sandbox, and which may be given up, is told by a {@link Reclaimer}.
 */
import { type BeforeApplicationShutdown, Inject, Injectable, Logger } from '@nestjs/common';
import { ApiError } from '../common/api-error.js';
import { formatBytes, memoryBytes } from '../common/memory-size.js';
import { Semaphore } from '../common/mutex.js';
import { ENV } from '../config/config.module.js';
import { type Env, MEMORY_SIZES, type MemorySize } from '../config/env.schema.js';
import type { Reclaimer } from './reclaimer.js';
import { type Sandbox, SandboxDriver, SandboxError, type SandboxSpec } from './sandbox.driver.js';

/** Memory a fresh sandbox really takes, with the data stack imported; measured in bench/. */
const WARM_BYTES = 192 * 1024 ** 2;
/** Seconds a refused client is asked to wait. */
const RETRY_AFTER_SECONDS = 10;

export interface PoolState {
  readonly size: MemorySize;
  readonly target: number;
  readonly warm: number;
  readonly starting: number;
}

/** Throws 503 with `retry-after`. */
const noCapacity = (message: string, cause?: unknown): ApiError =>
  new ApiError('sandbox_capacity', message, {
    cause,
    headers: { 'retry-after': String(RETRY_AFTER_SECONDS) },
  });

@Injectable()
export class SandboxPool implements BeforeApplicationShutdown {
  private readonly logger = new Logger(SandboxPool.name);
  private readonly warm: Record<MemorySize, Sandbox[]> = { '1g': [], '4g': [], '16g': [], '64g': [] };
  private readonly starting: Record<MemorySize, number> = { '1g': 0, '4g': 0, '16g': 0, '64g': 0 };
  /** Sandboxes this process started and that still live, whoever has them. */
  private readonly own = new Set<string>();
  private readonly gate: Semaphore;
  private reclaimer: Reclaimer = { giveUpIdlest: () => Promise.resolve(false) };
  private onTaken: () => void = () => {};
  private draining = false;

  constructor(
    private readonly driver: SandboxDriver,
    @Inject(ENV) private readonly env: Env,
  ) {
    this.gate = new Semaphore(env.SANDBOX_PARALLEL_STARTS);
  }

  /** Called once by the feature that binds sandboxes; it needs the pool, so it cannot be injected here. */
  setReclaimer(reclaimer: Reclaimer): void {
    this.reclaimer = reclaimer;
  }

  /** Called once by the refill job's owner: told whenever the pool got smaller. */
  setTakenListener(listener: () => void): void {
    this.onTaken = listener;
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
   * A sandbox of this size for one container: warm if there is one, else started now. Rejects with
   * 503 `sandbox_capacity` when the host is out of memory or the engine does not answer.
   */
  async acquire(size: MemorySize): Promise<Sandbox> {
    for (;;) {
      const sandbox = this.warm[size].shift();
      if (!sandbox) break;
      this.onTaken();
      try {
        await sandbox.claim();
        return sandbox;
      } catch (error) {
        this.logger.warn({ err: error, sandboxId: sandbox.id }, 'a warm sandbox was dead');
        await this.driver.destroy(sandbox.id);
      }
    }
    await this.makeRoom();
    const sandbox = await this.start(size);
    await sandbox.claim();
    this.onTaken();
    return sandbox;
  }

  /** One step towards the targets; called by the refill job. True when there is more to do. */
  async refillOne(): Promise<boolean> {
    if (this.draining) return false;
    const size = MEMORY_SIZES.find((each) => this.missing(each) > 0);
    if (!size) return false;
    if (await this.isShortOfMemory()) {
      this.logger.warn({ size }, 'not enough free memory to refill the pool');
      return false;
    }
    const sandbox = await this.start(size);
    if (this.draining) {
      await this.driver.destroy(sandbox.id);
      return false;
    }
    this.keepWarm(size, sandbox);
    return MEMORY_SIZES.some((each) => this.missing(each) > 0);
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
      target: this.env.SANDBOX_POOL[size],
      warm: this.warm[size].length,
      starting: this.starting[size],
    }));
  }

  /** Whether sandboxes in use outlive an orderly stop, so that the next process finds their variables. */
  get keepsSandboxesAtStop(): boolean {
    return this.env.SANDBOXES_AT_STOP === 'keep';
  }

  /** Sandboxes that are being started right now, in all sizes. */
  get startingCount(): number {
    return MEMORY_SIZES.reduce((sum, size) => sum + this.starting[size], 0);
  }

  /** Ends the warm sandboxes; called at shutdown and when the server is drained. */
  async drain(): Promise<void> {
    this.draining = true;
    const sandboxes = MEMORY_SIZES.flatMap((size) => this.warm[size].splice(0));
    await Promise.all(sandboxes.map((sandbox) => this.driver.destroy(sandbox.id)));
  }

  resume(): void {
    this.draining = false;
    this.onTaken();
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.drain();
  }

  private missing(size: MemorySize): number {
    return this.env.SANDBOX_POOL[size] - this.warm[size].length - this.starting[size];
  }

  private keepWarm(size: MemorySize, sandbox: Sandbox): void {
    this.warm[size].push(sandbox);
    void sandbox.closed.then(() => {
      const index = this.warm[size].indexOf(sandbox);
      if (index < 0) return;
      this.warm[size].splice(index, 1);
      void this.driver.destroy(sandbox.id);
      if (!this.draining) this.onTaken();
    });
  }

  private async start(size: MemorySize): Promise<Sandbox> {
    this.starting[size] += 1;
    try {
      const sandbox = await this.gate.run(() => this.driver.create(this.specOf(size)));
      this.own.add(sandbox.id);
      void sandbox.closed.then(() => this.own.delete(sandbox.id));
      return sandbox;
    } catch (error) {
      if (error instanceof SandboxError) {
        this.logger.error({ err: error, size }, 'a sandbox did not start');
        throw noCapacity(
          'The sandbox could not be started right now. Please retry; the operator finds the reason in the server log.',
          error,
        );
      }
      throw error;
    } finally {
      this.starting[size] -= 1;
    }
  }

  private async isShortOfMemory(): Promise<boolean> {
    const { hostFreeBytes } = await this.driver.memory();
    return hostFreeBytes - WARM_BYTES * this.startingCount < this.env.MEMORY_FLOOR_BYTES + WARM_BYTES;
  }

  /** Gives up what nobody uses (idle containers first, then warm sandboxes) until one more fits. */
  private async makeRoom(): Promise<void> {
    while (await this.isShortOfMemory()) {
      if (await this.reclaimer.giveUpIdlest(0)) continue;
      const spare = this.warm[MEMORY_SIZES.find((size) => this.warm[size].length > 0) ?? '1g'].shift();
      if (!spare) {
        throw noCapacity(
          `This server has less than ${formatBytes(this.env.MEMORY_FLOOR_BYTES)} of free memory and every sandbox is in use. Retry when a running execution has ended.`,
        );
      }
      await this.driver.destroy(spare.id);
    }
  }
}
