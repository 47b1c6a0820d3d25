/** Files into and out of n8n. Large ones go in pieces, so that no whole file is held twice. */
import { NodeApiError, NodeOperationError } from 'n8n-workflow';
import type { IBinaryData, IDataObject, IExecuteFunctions } from 'n8n-workflow';
import { mimeTypeOf } from './mime';
import { apiDownload, apiRequest, TRANSFER_TIMEOUT } from './transport';
import type { ContainerFileObject, FileObject, ProducedFile, UploadObject } from './types';

/** Above this many bytes a file is sent in parts. */
export const PART_BYTES = 16 * 1024 * 1024;
/** Attached files are copies for one run; the server removes them after a day. */
const ATTACHMENT_SECONDS = 86_400;

export interface OutgoingFile {
  fileName: string;
  mimeType: string;
  /** Unknown for data whose size n8n does not tell. */
  bytes?: number;
  /** Pieces of the content, each at most PART_BYTES long if the file is larger than that. */
  pieces(): AsyncIterable<Uint8Array>;
}

/** Re-cuts chunks of any size into pieces of `size` bytes; the last one may be shorter. */
export async function* inPieces(chunks: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    let rest = chunk;
    while (bytes + rest.length >= size) {
      const cut = size - bytes;
      yield Buffer.concat([...held, rest.subarray(0, cut)]);
      rest = rest.subarray(cut);
      held = [];
      bytes = 0;
    }
    if (rest.length > 0) held.push(rest);
    bytes += rest.length;
  }
  if (bytes > 0) yield Buffer.concat(held);
}

/** The binary data of an item as something to send. */
export async function outgoing(
  context: IExecuteFunctions,
  itemIndex: number,
  property: string,
  fileName?: string,
): Promise<OutgoingFile> {
  const binary = context.helpers.assertBinaryData(itemIndex, property);
  const name =
    fileName || binary.fileName || `${property}${binary.fileExtension ? `.${binary.fileExtension}` : ''}`;
  const mimeType = binary.mimeType || mimeTypeOf(name);
  const { id } = binary;
  if (id !== undefined) {
    const { fileSize } = await context.helpers.getBinaryMetadata(id);
    return {
      fileName: name,
      mimeType,
      bytes: fileSize,
      pieces: async function* () {
        yield* inPieces(await context.helpers.getBinaryStream(id, 1024 * 1024), PART_BYTES);
      },
    };
  }
  const content = await context.helpers.getBinaryDataBuffer(itemIndex, property);
  return fromBuffer(content, name, mimeType);
}

export function fromBuffer(content: Buffer, fileName: string, mimeType = mimeTypeOf(fileName)): OutgoingFile {
  return {
    fileName,
    mimeType,
    bytes: content.length,
    pieces: async function* () {
      for (let start = 0; start < content.length; start += PART_BYTES) {
        yield content.subarray(start, start + PART_BYTES);
      }
    },
  };
}

const isLarge = (file: OutgoingFile): boolean => (file.bytes ?? 0) > PART_BYTES;

async function wholeBlob(file: OutgoingFile): Promise<Blob> {
  const parts: Uint8Array[] = [];
  for await (const piece of file.pieces()) parts.push(piece);
  return new Blob(parts as Uint8Array<ArrayBuffer>[], { type: file.mimeType });
}

export interface UploadOptions {
  purpose: string;
  expiresSeconds?: number;
}

/** Into the Files API: at once, or in parts that are put together on the server. */
export async function uploadFile(
  context: IExecuteFunctions,
  file: OutgoingFile,
  options: UploadOptions,
): Promise<FileObject> {
  if (isLarge(file)) return await uploadInParts(context, file, options);
  const form = new FormData();
  form.append('purpose', options.purpose);
  if (options.expiresSeconds !== undefined) {
    form.append('expires_after[anchor]', 'created_at');
    form.append('expires_after[seconds]', String(options.expiresSeconds));
  }
  form.append('file', await wholeBlob(file), file.fileName);
  return await apiRequest<FileObject>(context, {
    method: 'POST',
    path: '/files',
    body: form,
    timeout: TRANSFER_TIMEOUT,
  });
}

async function uploadInParts(
  context: IExecuteFunctions,
  file: OutgoingFile,
  { purpose, expiresSeconds }: UploadOptions,
): Promise<FileObject> {
  const upload = await apiRequest<UploadObject>(context, {
    method: 'POST',
    path: '/uploads',
    body: {
      bytes: file.bytes ?? 0,
      filename: file.fileName,
      mime_type: file.mimeType,
      purpose,
      ...(expiresSeconds === undefined
        ? {}
        : { expires_after: { anchor: 'created_at', seconds: expiresSeconds } }),
    },
  });
  const path = `/uploads/${encodeURIComponent(upload.id)}`;
  let completed: UploadObject;
  try {
    completed = await sendParts(context, path, file);
  } catch (error) {
    await cancelUpload(context, path);
    throw new NodeApiError(context.getNode(), error as never);
  }
  if (completed.file === null) {
    throw new NodeOperationError(context.getNode(), 'The server put the parts together, but named no file', {
      description: 'Upload the file again.',
    });
  }
  return completed.file;
}

async function sendParts(
  context: IExecuteFunctions,
  path: string,
  file: OutgoingFile,
): Promise<UploadObject> {
  const partIds: string[] = [];
  for await (const piece of file.pieces()) {
    const form = new FormData();
    form.append('data', new Blob([piece as Uint8Array<ArrayBuffer>]), file.fileName);
    const part = await apiRequest<{ id: string }>(context, {
      method: 'POST',
      path: `${path}/parts`,
      body: form,
      timeout: TRANSFER_TIMEOUT,
    });
    partIds.push(part.id);
  }
  return await apiRequest<UploadObject>(context, {
    method: 'POST',
    path: `${path}/complete`,
    body: { part_ids: partIds },
    timeout: TRANSFER_TIMEOUT,
  });
}

/** Its parts would count as storage of the project until the upload expires. */
async function cancelUpload(context: IExecuteFunctions, path: string): Promise<void> {
  try {
    await apiRequest(context, { method: 'POST', path: `${path}/cancel`, afterStop: true });
  } catch (error) {
    context.logger.debug('An upload was not cancelled; it expires by itself', {
      path,
      reason: (error as Error).message,
    });
  }
}

/** Into a container. Large files take the way through the Files API. */
export async function uploadToContainer(
  context: IExecuteFunctions,
  containerId: string,
  file: OutgoingFile,
): Promise<ContainerFileObject> {
  const path = `/containers/${encodeURIComponent(containerId)}/files`;
  if (!isLarge(file)) {
    const form = new FormData();
    form.append('file', await wholeBlob(file), file.fileName);
    return await apiRequest<ContainerFileObject>(context, {
      method: 'POST',
      path,
      body: form,
      timeout: TRANSFER_TIMEOUT,
    });
  }
  const stored = await uploadInParts(context, file, {
    purpose: 'user_data',
    expiresSeconds: ATTACHMENT_SECONDS,
  });
  const added = await addToContainer(context, containerId, stored.id);
  await apiRequest(context, { method: 'DELETE', path: `/files/${stored.id}` });
  return added;
}

export async function addToContainer(
  context: IExecuteFunctions,
  containerId: string,
  fileId: string,
): Promise<ContainerFileObject> {
  return await apiRequest<ContainerFileObject>(context, {
    method: 'POST',
    path: `/containers/${encodeURIComponent(containerId)}/files`,
    body: { file_id: fileId },
    timeout: TRANSFER_TIMEOUT,
  });
}

/** Streams a file of the server into n8n's binary store. */
export async function downloadAs(
  context: IExecuteFunctions,
  path: string,
  fileName: string,
): Promise<IBinaryData> {
  const { body, headers } = await apiDownload(context, path);
  const mimeType = mimeTypeOf(fileName, String(headers['content-type'] ?? ''));
  return await context.helpers.prepareBinaryData(body, fileName, mimeType);
}

const FILE_ID = /^(file-|cfile_)[A-Za-z0-9_-]+$/;

export interface InputFiles {
  properties: string[];
  fileIds: string[];
}

/** `data, file-123, *` → names of binary fields and IDs of files; `*` stands for every binary field of the item. */
export function parseInputFiles(value: unknown, binary: IDataObject | undefined): InputFiles {
  const text = Array.isArray(value) ? value.join(',') : typeof value === 'string' ? value : '';
  const entries = text
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
  const fileIds = entries.filter((entry) => FILE_ID.test(entry));
  const named = entries.filter((entry) => !FILE_ID.test(entry));
  const properties = named.flatMap((entry) => (entry === '*' ? Object.keys(binary ?? {}) : [entry]));
  return { properties: [...new Set(properties)], fileIds: [...new Set(fileIds)] };
}

/** Uploads the chosen binary fields of an item for a day; IDs are passed on. */
export async function attachInputFiles(
  context: IExecuteFunctions,
  itemIndex: number,
  value: unknown,
): Promise<string[]> {
  const { properties, fileIds } = parseInputFiles(value, context.getInputData()[itemIndex]?.binary as never);
  for (const property of properties) {
    const file = await uploadFile(context, await outgoing(context, itemIndex, property), {
      purpose: 'user_data',
      expiresSeconds: ATTACHMENT_SECONDS,
    });
    fileIds.push(file.id);
  }
  return fileIds;
}

/** Which of the produced files become binaries. */
export type Download = 'all' | 'images' | 'pattern' | 'none';

/** `*.csv, report-??.pdf` → whether a name fits one of them; case does not matter. */
export function matchesPattern(fileName: string, pattern: string): boolean {
  return pattern
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '')
    .some((each) => {
      const source = each
        .replace(/[.+^${}()|[\]\\]/g, '\\$&')
        .replace(/\*/g, '.*')
        .replace(/\?/g, '.');
      return new RegExp(`^${source}$`, 'i').test(fileName);
    });
}

export function isWanted(file: ProducedFile, download: Download, pattern: string): boolean {
  switch (download) {
    case 'all':
      return true;
    case 'images':
      return mimeTypeOf(file.fileName).startsWith('image/');
    case 'pattern':
      return matchesPattern(file.fileName, pattern);
    case 'none':
      return false;
  }
}

/** `data`, `data_1`, `data_2` … */
export const propertyName = (prefix: string, index: number): string =>
  index === 0 ? prefix : `${prefix}_${index}`;
