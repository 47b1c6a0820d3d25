import { Module } from '@nestjs/common';
import { FilesModule } from '../files/files.module.js';
import { UploadRepository } from './upload.repository.js';
import { UploadsController } from './uploads.controller.js';
import { UploadsService } from './uploads.service.js';

@Module({
  imports: [FilesModule],
  controllers: [UploadsController],
  providers: [UploadRepository, UploadsService],
  exports: [UploadsService],
})
export class UploadsModule {}
