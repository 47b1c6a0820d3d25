import { Global, Module } from '@nestjs/common';
import { ContainerCounts } from '../observability/container-counts.js';
import { StoredContainerInventory } from './container-inventory.repository.js';
import { StoredExecutionInventory } from './execution-inventory.repository.js';
import { ContainerInventory, ExecutionInventory } from './inventory.lookup.js';

/** Global, so that the metrics find their port without knowing this feature. */
@Global()
@Module({
  providers: [
    StoredContainerInventory,
    { provide: ContainerInventory, useExisting: StoredContainerInventory },
    { provide: ContainerCounts, useExisting: StoredContainerInventory },
    { provide: ExecutionInventory, useClass: StoredExecutionInventory },
  ],
  exports: [ContainerInventory, ContainerCounts, ExecutionInventory],
})
export class InventoryModule {}
