import { Module } from '@nestjs/common';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { ProviderModels } from './chat-completions/model-source.js';
import { ModelRegistry } from './model.registry.js';
import { pythonModels } from './python/python.models.js';

/** The adapters are chosen here: the built-in model, and one for each configured endpoint. */
@Module({
  providers: [
    {
      provide: ModelRegistry,
      inject: [ENV],
      useFactory: (env: Env) =>
        new ModelRegistry(
          pythonModels,
          env.MODEL_PROVIDERS.map((provider) => new ProviderModels(provider)),
          { defaultModel: env.MODEL_DEFAULT },
        ),
    },
  ],
  exports: [ModelRegistry],
})
export class LlmModule {}
