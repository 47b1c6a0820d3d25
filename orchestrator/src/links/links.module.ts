import { Module } from '@nestjs/common';
import { FilesModule } from '../files/files.module.js';
import { LinkRepository } from './link.repository.js';
import { LinksController } from './links.controller.js';
import { LinksService } from './links.service.js';
import { OpenLinkController } from './open-link.controller.js';

@Module({
  imports: [FilesModule],
  controllers: [LinksController, OpenLinkController],
  providers: [LinkRepository, LinksService],
  exports: [LinksService],
})
export class LinksModule {}
