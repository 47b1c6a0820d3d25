import { Global, Module } from '@nestjs/common';
import { IdempotencyRepository } from './idempotency.repository.js';
import { IdempotencyService } from './idempotency.service.js';
import { Subjects } from './subjects.js';

/** Makes `@OncePerKey()` work everywhere, and `Subjects` injectable. */
@Global()
@Module({
  providers: [IdempotencyRepository, IdempotencyService, Subjects],
  exports: [IdempotencyService, Subjects],
})
export class IdempotencyModule {}
