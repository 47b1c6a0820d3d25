import { Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { Reclaimer } from './reclaimer.js';

/**
 * The `Reclaimer` that some feature provides, looked up when it is first asked: that feature needs the pool to be
 * built, so it is not there yet when the pool is.
 */
@Injectable()
export class LateReclaimer extends Reclaimer {
  private found: Reclaimer | undefined;

  constructor(private readonly modules: ModuleRef) {
    super();
  }

  override giveUpIdlest(minIdleMs: number): Promise<boolean> {
    this.found ??= this.modules.get<Reclaimer>(Reclaimer, { strict: false });
    return this.found.giveUpIdlest(minIdleMs);
  }
}
