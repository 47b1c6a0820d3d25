import { type DynamicModule, Global, Module } from '@nestjs/common';
import { ENV } from '../config/config.module.js';
import type { Env } from '../config/env.schema.js';
import { BlobCollector } from './blob-collector.js';
import { BlobGuard } from './blob-guard.js';
import { BlobRepository } from './blob.repository.js';
import { BlobStore } from './blob.store.js';
import { BlobsService } from './blobs.service.js';
import { DiskSpace } from './disk-space.js';
import { BLOB_DIR, FsBlobStore } from './fs/fs-blob.store.js';
import { ProjectStorageBudget } from './project-storage-budget.js';
import { StorageAccountRepository } from './storage-account.repository.js';
import { StorageBudget } from './storage-budget.js';

export interface StorageOptions {
  /** Folder that holds all content; made when it is not there. */
  readonly dir: string;
}

/** Makes `BlobsService`, `StorageBudget` and `DiskSpace` injectable everywhere. Import it once, at the root. */
@Global()
@Module({})
export class StorageModule {
  static forRoot(options: StorageOptions): DynamicModule {
    return {
      module: StorageModule,
      providers: [
        { provide: BLOB_DIR, useValue: options.dir },
        {
          provide: DiskSpace,
          inject: [ENV],
          useFactory: (env: Env) => new DiskSpace([options.dir, env.DATA_DIR], env.DISK_FLOOR_BYTES),
        },
        { provide: BlobStore, useClass: FsBlobStore },
        BlobRepository,
        BlobGuard,
        BlobCollector,
        BlobsService,
        StorageAccountRepository,
        { provide: StorageBudget, useClass: ProjectStorageBudget },
      ],
      exports: [BlobsService, StorageBudget, StorageAccountRepository, DiskSpace],
    };
  }
}
