/** PORT: files that live in containers, shown through the Files API as well. */

export interface ContainerFileView {
  readonly id: string;
  /** Absolute path inside the container; its last part becomes the file name. */
  readonly path: string;
  readonly bytes: number;
  readonly createdAt: Date;
  readonly blobSha256: string;
}

/**
 * Implemented by the containers feature and asked by `FilesService` for ids that begin with
 * `cfile_`. Answers for every file whose content is kept, also when its container has expired; null
 * for unknown ids and for files of other projects.
 */
export abstract class ContainerFileLookup {
  abstract find(projectId: string, id: string): Promise<ContainerFileView | null>;
}
