import { type DynamicModule, Global, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { LateReclaimer } from './late-reclaimer.js';
import { MemoryWatch } from './memory-watch.js';
import { SandboxDriver } from './sandbox.driver.js';
import { SandboxPool } from './sandbox.pool.js';

/** Makes the driver and the pool injectable everywhere; which driver it is was decided by the composition root. */
@Global()
@Module({})
export class SandboxesModule implements OnApplicationShutdown {
  constructor(@Inject(SandboxDriver) private readonly driver: SandboxDriver) {}

  static forRoot(driver: SandboxDriver): DynamicModule {
    return {
      module: SandboxesModule,
      providers: [{ provide: SandboxDriver, useValue: driver }, LateReclaimer, SandboxPool, MemoryWatch],
      exports: [SandboxDriver, SandboxPool],
    };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.driver.close();
  }
}
