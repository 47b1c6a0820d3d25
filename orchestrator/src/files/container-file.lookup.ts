/** PORT: files that live in containers, shown through the Files API as well. */

export interface ContainerFileView {
  readonly id: string;
  readonly containerId: string;
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

  /** Files that code made, whose content is kept; in the order they came into being, or the other way. */
  abstract listMade(query: MadeFilesQuery): Promise<readonly ContainerFileView[]>;
  /** Position of such a file in that order; null for any other id. */
  abstract seqOfMade(projectId: string, id: string): Promise<bigint | null>;
}

export interface MadeFilesQuery {
  readonly projectId: string;
  /** Exclusive. */
  readonly afterSeq?: bigint | undefined;
  readonly order: 'asc' | 'desc';
  /** Rows fetched; ask for one more than is shown. */
  readonly take: number;
}
