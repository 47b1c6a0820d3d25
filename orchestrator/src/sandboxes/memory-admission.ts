/**
 * Whether one more sandbox fits into the host's memory, and what is given up for it: spare sandboxes
 * first, since they hold nothing; then containers nobody has used for a while, two at a time and no more
 * than needed. Made and used by the pool.
 */
import type { Logger } from '@nestjs/common';
import { KeyedMutex } from '../common/mutex.js';
import type { SandboxDriver } from './sandbox.driver.js';

/** Bytes that a fresh sandbox really takes, with the data stack imported; measured in bench/. */
export const WARM_BYTES = 192 * 1024 ** 2;
/** Milliseconds without use after which a container's sandbox may be given up for another. */
export const MIN_IDLE_MS = 10_000;
/** Free bytes above the floor below which idle sandboxes are put to sleep ahead of the starts that need their memory. */
const AHEAD_BYTES = 4 * WARM_BYTES;
/** Sandboxes that are given up at the same time. */
const GIVEN_UP_AT_ONCE = 2;
/** Free bytes above the floor that a spare must leave, so that it is not given up again at once. */
const REFILL_MARGIN_BYTES = WARM_BYTES;
/** Milliseconds between two lines in the log about the same shortage. */
const SAY_AGAIN_MS = 60_000;

/** What can be given up. Neither rejects; false when there is nothing of the kind. */
export interface MemorySources {
  giveUpSpare(): Promise<boolean>;
  giveUpIdlest(minIdleMs: number): Promise<boolean>;
}

export class MemoryAdmission {
  private reserved = 0;
  private saidAt = -Infinity;
  private readonly turns = new KeyedMutex();

  constructor(
    private readonly driver: SandboxDriver,
    private readonly floorBytes: number,
    private readonly sources: MemorySources,
    private readonly logger: Logger,
  ) {}

  /**
   * Sets memory aside for a start that somebody waits for, and makes room for it. False, with nothing set
   * aside, when there is none to be had. One at a time, so that no two starts count on the same bytes.
   */
  reserveForUser(): Promise<boolean> {
    return this.turns.run('memory', () => this.reserve(0, (missing) => this.giveUpSome(missing)));
  }

  /** The same for a spare: nothing is given up for it. */
  reserveForSpare(): Promise<boolean> {
    return this.turns.run('memory', () => this.reserve(REFILL_MARGIN_BYTES, () => Promise.resolve(false)));
  }

  /** Called exactly once after a reservation, when the start has ended: what it takes is real now, or free. */
  release(): void {
    this.reserved -= WARM_BYTES;
  }

  /** Whether the floor is near: a few more starts, and something has to be given up. */
  async isScarce(): Promise<boolean> {
    return (await this.missing(AHEAD_BYTES)) > 0;
  }

  /** Called every second: below the floor gives up one sandbox, and says so when none is left. */
  async watch(): Promise<void> {
    await this.turns.run('memory', async () => {
      const missing = await this.missing(0);
      if (missing <= 0 || (await this.giveUpOne()) || Date.now() - this.saidAt < SAY_AGAIN_MS) return;
      this.saidAt = Date.now();
      this.logger.error(
        { missingBytes: missing },
        'free memory of the host is below MEMORY_FLOOR_BYTES, and no sandbox can be given up: all are in use, or others took it',
      );
    });
  }

  private async reserve(
    marginBytes: number,
    giveUp: (missing: number) => Promise<boolean>,
  ): Promise<boolean> {
    this.reserved += WARM_BYTES;
    try {
      for (;;) {
        const missing = await this.missing(marginBytes);
        if (missing <= 0) return true;
        if (await giveUp(missing)) continue;
        this.reserved -= WARM_BYTES;
        return false;
      }
    } catch (error) {
      this.reserved -= WARM_BYTES;
      throw error;
    }
  }

  /** Most of what falls asleep is waiting for the engine, so that a second one costs little more time. */
  private async giveUpSome(missing: number): Promise<boolean> {
    const count = Math.min(GIVEN_UP_AT_ONCE, Math.ceil(missing / WARM_BYTES));
    const given = await Promise.all(Array.from({ length: count }, () => this.giveUpOne()));
    return given.includes(true);
  }

  private async giveUpOne(): Promise<boolean> {
    const { giveUpSpare, giveUpIdlest } = this.sources;
    if (await giveUpSpare()) return true;
    // When all sandboxes together hold less than is missing, somebody else has it: nobody's variables would help.
    const [missing, { usedBytes }] = await Promise.all([this.missing(0), this.driver.memory()]);
    return missing <= usedBytes && giveUpIdlest(MIN_IDLE_MS);
  }

  /** Bytes that must become free before the floor holds, with what is set aside; zero or less when it does. */
  private async missing(marginBytes: number): Promise<number> {
    const { hostFreeBytes } = await this.driver.memory();
    return this.floorBytes + marginBytes + this.reserved - hostFreeBytes;
  }
}
