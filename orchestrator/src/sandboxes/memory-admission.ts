/**
 * Whether one more sandbox fits into the host's memory, and what is given up for it: spare sandboxes
 * first, since they hold nothing; then containers nobody has used for a while, one at a time and no more
 * than needed. Made and used by the pool.
 */
import type { Logger } from '@nestjs/common';
import { KeyedMutex } from '../common/mutex.js';
import type { SandboxDriver } from './sandbox.driver.js';

/** Bytes that a fresh sandbox really takes, with the data stack imported; measured in bench/. */
export const WARM_BYTES = 192 * 1024 ** 2;
/** Milliseconds without use after which a container's sandbox may be given up for another. */
export const MIN_IDLE_MS = 10_000;
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
    return this.turns.run('memory', () => this.reserve(0, () => this.giveUpOne(this.sources)));
  }

  /** The same for a spare: nothing is given up for it. */
  reserveForSpare(): Promise<boolean> {
    return this.turns.run('memory', () => this.reserve(REFILL_MARGIN_BYTES, () => Promise.resolve(false)));
  }

  /** Called exactly once after a reservation, when the start has ended: what it takes is real now, or free. */
  release(): void {
    this.reserved -= WARM_BYTES;
  }

  /** Called every second: below the floor gives up one sandbox, and says so when none is left. */
  async watch(): Promise<void> {
    await this.turns.run('memory', async () => {
      const missing = await this.missing(0);
      if (missing <= 0 || (await this.giveUpOne(this.sources)) || Date.now() - this.saidAt < SAY_AGAIN_MS)
        return;
      this.saidAt = Date.now();
      this.logger.error(
        { missingBytes: missing },
        'free memory of the host is below MEMORY_FLOOR_BYTES, and no sandbox can be given up: all are in use, or others took it',
      );
    });
  }

  private async reserve(marginBytes: number, giveUp: () => Promise<boolean>): Promise<boolean> {
    this.reserved += WARM_BYTES;
    try {
      while ((await this.missing(marginBytes)) > 0) {
        if (await giveUp()) continue;
        this.reserved -= WARM_BYTES;
        return false;
      }
      return true;
    } catch (error) {
      this.reserved -= WARM_BYTES;
      throw error;
    }
  }

  private async giveUpOne({ giveUpSpare, giveUpIdlest }: MemorySources): Promise<boolean> {
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
