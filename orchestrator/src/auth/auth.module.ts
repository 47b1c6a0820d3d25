import { Global, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { ApiKeyRepository } from './api-key.repository.js';
import { AuthGuard } from './auth.guard.js';
import { AuthService } from './auth.service.js';
import { Door } from './door.js';
import { SecretBox } from './secret-box.js';

@Global()
@Module({
  providers: [ApiKeyRepository, AuthService, Door, SecretBox, { provide: APP_GUARD, useClass: AuthGuard }],
  exports: [AuthService, Door, SecretBox],
})
export class AuthModule {}
