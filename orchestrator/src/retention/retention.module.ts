import { Module } from '@nestjs/common';
import { FilesModule } from '../files/files.module.js';
import { UploadsModule } from '../uploads/uploads.module.js';
import { RetentionProcessor } from './retention.processor.js';
import { RetentionRepository } from './retention.repository.js';
import { RetentionService } from './retention.service.js';

@Module({
  imports: [FilesModule, UploadsModule],
  providers: [RetentionRepository, RetentionService, RetentionProcessor],
  exports: [RetentionService],
})
export class RetentionModule {}
