import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { SandboxPool } from './sandbox.pool.js';

const LOOK_MS = 1_000;

/** Looks at the host's memory every second, since running code takes it without asking. */
@Injectable()
export class MemoryWatch implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(MemoryWatch.name);
  private timer: NodeJS.Timeout | undefined;
  private looking = false;

  constructor(private readonly pool: SandboxPool) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => void this.look(), LOOK_MS).unref();
  }

  onModuleDestroy(): void {
    clearInterval(this.timer);
  }

  private async look(): Promise<void> {
    if (this.looking) return;
    this.looking = true;
    try {
      await this.pool.watchMemory();
    } catch (error) {
      this.logger.warn({ err: error }, 'the memory of the host could not be looked at');
    } finally {
      this.looking = false;
    }
  }
}
