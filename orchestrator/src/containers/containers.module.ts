import { Module } from '@nestjs/common';
import { FilesModule } from '../files/files.module.js';
import { ContainersBoot } from './boot.service.js';
import { ContainerFileLookupModule } from './container-file-lookup.js';
import { ContainerFileRepository } from './container-file.repository.js';
import { ContainerFilesController } from './container-files.controller.js';
import { ContainerFilesService } from './container-files.service.js';
import { ContainerMemory } from './container-memory.js';
import { ContainerRepository } from './container.repository.js';
import { ContainersController } from './containers.controller.js';
import { ContainersService } from './containers.service.js';
import { ExecutionRepository } from './execution.repository.js';
import { ExecutionRecords } from './execution-records.service.js';
import { ExecutionService } from './execution.service.js';
import { ExecutionsController } from './executions.controller.js';
import { FileImporter } from './file-importer.js';
import { Reclaimer } from '../sandboxes/reclaimer.js';
import { RunningWork } from '../sandboxes/running-work.js';
import { HibernationService } from './hibernation.service.js';
import { ContainerHolds } from './holds.js';
import { Persistence } from './persistence.js';
import { PoolProcessor } from './pool.processor.js';
import { RunParts } from './run-parts.js';
import { SandboxBindings } from './sandbox-bindings.js';
import { SandboxFiles } from './sandbox-files.js';
import { SweepProcessor } from './sweep.processor.js';
import { SweepService } from './sweep.service.js';
import { InventoryModule } from './inventory.module.js';
import { OldContainers } from './old-containers.repository.js';

@Module({
  imports: [FilesModule, ContainerFileLookupModule, InventoryModule],
  controllers: [ContainersController, ContainerFilesController, ExecutionsController],
  providers: [
    OldContainers,
    ContainerRepository,
    ContainerFileRepository,
    ExecutionRepository,
    ContainersService,
    ContainerFilesService,
    ExecutionService,
    ExecutionRecords,
    { provide: RunningWork, useExisting: ExecutionService },
    { provide: Reclaimer, useExisting: SandboxBindings },
    ContainerHolds,
    ContainerMemory,
    Persistence,
    RunParts,
    SandboxBindings,
    SandboxFiles,
    FileImporter,
    SweepService,
    SweepProcessor,
    PoolProcessor,
    ContainersBoot,
    HibernationService,
  ],
  exports: [
    OldContainers,
    ContainersService,
    ContainerFilesService,
    ExecutionService,
    ExecutionRecords,
    SweepService,
    HibernationService,
  ],
})
export class ContainersModule {}
