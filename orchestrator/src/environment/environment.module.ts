import { Module } from '@nestjs/common';
import { EnvironmentController } from './environment.controller.js';
import { DEFAULT_ENVIRONMENT_FILE, ENVIRONMENT_FILE, EnvironmentService } from './environment.service.js';

@Module({
  controllers: [EnvironmentController],
  providers: [EnvironmentService, { provide: ENVIRONMENT_FILE, useValue: DEFAULT_ENVIRONMENT_FILE }],
})
export class EnvironmentModule {}
