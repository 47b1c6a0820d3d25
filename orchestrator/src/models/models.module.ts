import { Module } from '@nestjs/common';
import { LlmModule } from '../llm/llm.module.js';
import { ModelsController } from './models.controller.js';

@Module({ imports: [LlmModule], controllers: [ModelsController] })
export class ModelsModule {}
