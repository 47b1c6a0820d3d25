import { Global, Injectable, Module } from '@nestjs/common';
import {
  ContainerFileLookup,
  type ContainerFileView,
  type MadeFilesQuery,
} from '../files/container-file.lookup.js';
import { ContainerFileRepository } from './container-file.repository.js';

/** Lets `/v1/files/{cfile_id}` find container files, also after their container expired. */
@Injectable()
class StoredContainerFileLookup extends ContainerFileLookup {
  constructor(private readonly files: ContainerFileRepository) {
    super();
  }

  override async find(projectId: string, id: string): Promise<ContainerFileView | null> {
    const row = await this.files.findInProject(projectId, id);
    return row && { ...row, bytes: Number(row.bytes) };
  }

  override async listMade(query: MadeFilesQuery): Promise<readonly ContainerFileView[]> {
    return (await this.files.listMade(query)).map((row) => ({ ...row, bytes: Number(row.bytes) }));
  }

  override seqOfMade(projectId: string, id: string): Promise<bigint | null> {
    return this.files.seqOfMade(projectId, id);
  }
}

@Global()
@Module({
  providers: [ContainerFileRepository, { provide: ContainerFileLookup, useClass: StoredContainerFileLookup }],
  exports: [ContainerFileLookup],
})
export class ContainerFileLookupModule {}
