import { Injectable, Logger, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { PrismaService } from './prisma.service.js';

/** Milliseconds between two looks at the database's clock. */
const EVERY_MS = 10_000;
/** An answer that took longer, in milliseconds, does not tell the time. */
const SLOW_MS = 500;

/**
 * What time it is for the database, without asking it each time. Whatever is compared with a time in a row is
 * taken from here or computed in the statement itself: a server whose own clock is wrong, or is set while it
 * runs, must neither end things early nor keep them for ever.
 */
@Injectable()
export class DatabaseClock implements OnModuleInit, OnModuleDestroy {
  private readonly logger = new Logger(DatabaseClock.name);
  /** The database's time at a moment of our own steady clock, both in milliseconds. */
  private seen = { timeMs: Date.now(), atMs: performance.now() };
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly prisma: PrismaService) {}

  async onModuleInit(): Promise<void> {
    await this.look();
    this.timer = setInterval(() => void this.look(), EVERY_MS).unref();
  }

  onModuleDestroy(): void {
    clearInterval(this.timer);
  }

  now(): Date {
    return new Date(this.seen.timeMs + performance.now() - this.seen.atMs);
  }

  /** Never rejects: while the database is away, the last look is good enough. */
  private async look(): Promise<void> {
    try {
      const begunMs = performance.now();
      const [row] = await this.prisma.$queryRaw<{ ms: number }[]>`
        SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms`;
      const tookMs = performance.now() - begunMs;
      if (tookMs <= SLOW_MS) this.seen = { timeMs: row!.ms, atMs: begunMs + tookMs / 2 };
    } catch (error) {
      this.logger.debug({ err: error }, 'the clock of the database could not be read');
    }
  }
}
