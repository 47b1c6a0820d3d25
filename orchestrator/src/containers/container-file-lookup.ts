import { Global, Injectable, Module } from '@nestjs/common';
import { ContainerFileLookup, type ContainerFileView } from '../files/container-file.lookup.js';
import { ContainerFileRepository } from './container-file.repository.js';

/** Lets `/v1/files/{cfile_id}` find container files, also after their container expired (contract §2.8). */
@Injectable()
class StoredContainerFileLookup extends ContainerFileLookup {
  constructor(private readonly files: ContainerFileRepository) {
    super();
  }

  override async find(projectId: string, id: string): Promise<ContainerFileView | null> {
    const row = await this.files.findInProject(projectId, id);
    return row && { ...row, bytes: Number(row.bytes) };
  }
}

@Global()
@Module({
  providers: [ContainerFileRepository, { provide: ContainerFileLookup, useClass: StoredContainerFileLookup }],
  exports: [ContainerFileLookup],
})
export class ContainerFileLookupModule {}
