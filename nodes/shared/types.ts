/** What the server answers, as far as the nodes read it. Names are the wire's. */
import type {
  IDataObject,
  IExecuteFunctions,
  IHookFunctions,
  ILoadOptionsFunctions,
  ISupplyDataFunctions,
  IWebhookFunctions,
} from 'n8n-workflow';

export type ApiContext =
  | IExecuteFunctions
  | IHookFunctions
  | ILoadOptionsFunctions
  | ISupplyDataFunctions
  | IWebhookFunctions;

/** Contexts in which something is run: they know items, the execution and its end. */
export type RunContext = IExecuteFunctions | ISupplyDataFunctions;

/** A readable stream; the class itself may not be imported by a verified node. */
export type ByteStream = Awaited<ReturnType<IExecuteFunctions['helpers']['getBinaryStream']>>;

export interface ListObject<T> {
  data: T[];
  has_more?: boolean;
  last_id?: string | null;
}

export interface ContainerObject extends IDataObject {
  id: string;
  name: string;
  created_at: number;
  status: string;
  memory_limit: string;
  session_key?: string | null;
}

export interface ContainerFileObject extends IDataObject {
  id: string;
  container_id: string;
  bytes: number;
  path: string;
  source: string;
}

export interface FileObject extends IDataObject {
  id: string;
  bytes: number;
  created_at: number;
  filename: string;
  purpose: string;
}

export interface UploadObject extends IDataObject {
  id: string;
  file: FileObject | null;
}

export interface ExecutionFile {
  id: string;
  path: string;
  bytes: number;
  change: 'created' | 'modified' | 'deleted';
}

export type ExecutionOutput =
  | { type: 'stdout' | 'stderr' | 'result' | 'display'; text: string }
  | { type: 'error'; name: string; value: string; traceback: string }
  | {
      type: 'image';
      file_id: string;
      mime_type: string;
      bytes: number;
      /** What the figure is called in the picture. */
      title?: string;
      /** The file of this execution that holds the same picture. */
      saved_as?: string;
    }
  | { type: 'notice'; code: string; message: string };

export interface ExecutionObject {
  id: string;
  container_id: string;
  status: string;
  outputs: ExecutionOutput[];
  error: { name: string; value: string; traceback: string } | null;
  files: ExecutionFile[];
  value: { from: 'result' | 'expression'; json: unknown } | null;
  state_lost: boolean;
  duration_ms: number | null;
}

export interface Citation {
  type: string;
  container_id?: string;
  file_id?: string;
  filename?: string;
}

export interface ResponseItem extends IDataObject {
  id: string;
  type: string;
}

export interface ResponseObject extends IDataObject {
  id: string;
  status: string;
  model: string;
  created_at: number;
  output: ResponseItem[];
  error: { code: string; message: string } | null;
  incomplete_details: { reason: string } | null;
}

/** A file that a run left behind, and where it can be downloaded. */
export interface ProducedFile {
  id: string;
  containerId: string;
  fileName: string;
  bytes?: number;
}
