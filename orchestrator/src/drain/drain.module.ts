import { Global, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { DrainGuard } from './drain.guard.js';
import { DrainService } from './drain.service.js';

/** Import it after `AuthModule`: guards run in the order of the imports. */
@Global()
@Module({
  providers: [DrainService, { provide: APP_GUARD, useClass: DrainGuard }],
  exports: [DrainService],
})
export class DrainModule {}
