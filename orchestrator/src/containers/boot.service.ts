import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { SweepService } from './sweep.service.js';

/**
 * Runs once before the server listens: what an earlier process left is put in order. Sandboxes that
 * still serve a running container stay and are taken up again on first use, with their variables.
 */
@Injectable()
export class ContainersBoot implements OnApplicationBootstrap {
  private readonly logger = new Logger(ContainersBoot.name);

  constructor(private readonly sweeper: SweepService) {}

  async onApplicationBootstrap(): Promise<void> {
    try {
      await this.sweeper.sweep(0);
    } catch (error) {
      this.logger.warn(
        { err: error },
        'the sandboxes of an earlier run could not be looked at yet; the sweep tries again',
      );
    }
  }
}
