import { Inject, Injectable } from '@nestjs/common';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { BlobsService } from '../storage/blobs.service.js';
import { ContainerFileRepository } from './container-file.repository.js';
import { ContainerRepository } from './container.repository.js';
import { ExecutionRepository } from './execution.repository.js';
import { FileImporter } from './file-importer.js';
import { Persistence } from './persistence.js';
import { SandboxBindings } from './sandbox-bindings.js';

/** What every execution works with. */
@Injectable()
export class RunParts {
  constructor(
    readonly executions: ExecutionRepository,
    readonly containers: ContainerRepository,
    readonly files: ContainerFileRepository,
    readonly bindings: SandboxBindings,
    readonly importer: FileImporter,
    readonly blobs: BlobsService,
    readonly persistence: Persistence,
    @Inject(ENV) readonly env: Env,
  ) {}
}
