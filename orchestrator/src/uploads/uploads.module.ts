import { Module } from '@nestjs/common';
import { FilesModule } from '../files/files.module.js';
import { UploadRepository } from './upload.repository.js';
import { UploadsController } from './uploads.controller.js';
import { UploadsService } from './uploads.service.js';
import { OldUploads } from './old-uploads.repository.js';

@Module({
  imports: [FilesModule],
  controllers: [UploadsController],
  providers: [OldUploads, UploadRepository, UploadsService],
  exports: [OldUploads, UploadsService],
})
export class UploadsModule {}
