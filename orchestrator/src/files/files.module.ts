import { Module } from '@nestjs/common';
import { FileRepository } from './file.repository.js';
import { FilesController } from './files.controller.js';
import { FilesService } from './files.service.js';

/** Container files are found when a global module provides `ContainerFileLookup`. */
@Module({
  controllers: [FilesController],
  providers: [FileRepository, FilesService],
  exports: [FilesService],
})
export class FilesModule {}
