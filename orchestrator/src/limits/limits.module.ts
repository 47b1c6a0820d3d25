import { Global, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { LimitsGuard } from './limits.guard.js';
import { RequestRates } from './request-rates.js';
import { RunSlots } from './run-slots.js';

/** Import it after `AuthModule`: guards run in the order of the imports. */
@Global()
@Module({
  providers: [RequestRates, RunSlots, { provide: APP_GUARD, useClass: LimitsGuard }],
  exports: [RunSlots],
})
export class LimitsModule {}
