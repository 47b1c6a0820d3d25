/** Upload, Download, Get, Get Many and Delete of the files in a container. */
import { NodeApiError } from 'n8n-workflow';
import type { IDataObject, IExecuteFunctions, INodeProperties } from 'n8n-workflow';
import { addToContainer, downloadAs, outgoing, uploadToContainer } from '../../shared/binary';
import { binaryOutputField, containerLocator, returnAllFields, showFor } from '../../shared/descriptions';
import { baseName, mimeTypeOf } from '../../shared/mime';
import type { Operation } from '../../shared/operation';
import { limitOf, listAll } from '../../shared/pagination';
import { containerIdOf } from '../../shared/session';
import { apiRequest, pathId } from '../../shared/transport';
import type { ContainerFileObject, FileObject } from '../../shared/types';

const shown = (file: ContainerFileObject): IDataObject => ({
  ...file,
  filename: baseName(file.path),
  mime_type: mimeTypeOf(file.path),
});

const filePath = (context: IExecuteFunctions, itemIndex: number): string => {
  const container = encodeURIComponent(containerIdOf(context, itemIndex));
  const id = pathId(
    context.getNode(),
    'File ID',
    context.getNodeParameter('containerFileId', itemIndex),
    itemIndex,
  );
  return `/containers/${container}/files/${id}`;
};

const showUpload = showFor('file', 'upload');

export const upload: Operation = {
  description: [
    containerLocator(showUpload),
    {
      displayName: 'Source',
      name: 'source',
      type: 'options',
      default: 'binary',
      description: 'Where the content of the file comes from',
      options: [
        { name: 'Binary Field', value: 'binary', description: 'A binary field of the item' },
        { name: 'Text', value: 'text', description: 'Text entered here' },
        { name: 'Uploaded File', value: 'fileId', description: 'A file uploaded with the Files node' },
      ],
      displayOptions: showUpload,
    },
    {
      displayName: 'Input Binary Field',
      name: 'inputField',
      type: 'string',
      default: 'data',
      required: true,
      hint: 'The name of the input binary field containing the file to be uploaded',
      displayOptions: { show: { ...showUpload.show, source: ['binary'] } },
    },
    {
      displayName: 'Text',
      name: 'text',
      type: 'string',
      typeOptions: { rows: 5 },
      default: '',
      description: 'The content of the file',
      displayOptions: { show: { ...showUpload.show, source: ['text'] } },
    },
    {
      displayName: 'File ID',
      name: 'sourceFileId',
      type: 'string',
      default: '',
      required: true,
      placeholder: 'e.g. file-abc123',
      description: 'ID of a file uploaded with the Files node',
      displayOptions: { show: { ...showUpload.show, source: ['fileId'] } },
    },
    {
      displayName: 'File Name',
      name: 'fileName',
      type: 'string',
      default: '',
      placeholder: 'e.g. data.csv',
      description: 'Name of the file in the container. Leave it empty to keep its name.',
      displayOptions: { show: { ...showUpload.show, source: ['binary', 'text'] } },
    },
  ],
  async execute(context, itemIndex) {
    const container = containerIdOf(context, itemIndex);
    const source = context.getNodeParameter('source', itemIndex) as string;
    if (source === 'fileId') {
      const id = context.getNodeParameter('sourceFileId', itemIndex);
      pathId(context.getNode(), 'File ID', id, itemIndex);
      const added = await addToContainer(context, container, String(id).trim());
      return [{ json: shown(added), pairedItem: { item: itemIndex } }];
    }
    const fileName = (context.getNodeParameter('fileName', itemIndex, '') as string).trim();
    const file =
      source === 'text'
        ? textFile(context.getNodeParameter('text', itemIndex, '') as string, fileName || 'text.txt')
        : await outgoing(
            context,
            itemIndex,
            context.getNodeParameter('inputField', itemIndex) as string,
            fileName,
          );
    const added = await uploadToContainer(context, container, file);
    return [{ json: shown(added), pairedItem: { item: itemIndex } }];
  },
};

const textFile = (text: string, fileName: string) => {
  const content = Buffer.from(text, 'utf8');
  return {
    fileName,
    mimeType: mimeTypeOf(fileName),
    bytes: content.length,
    pieces: async function* () {
      if (content.length > 0) yield content;
    },
  };
};

/** A container, and a file in it. */
const fileFields = (operation: string): INodeProperties[] => [
  containerLocator(showFor('file', operation)),
  {
    displayName: 'File ID',
    name: 'containerFileId',
    type: 'string',
    default: '={{ $json.id }}',
    required: true,
    placeholder: 'e.g. cfile_abc123',
    description: 'ID of the file in the container',
    displayOptions: showFor('file', operation),
  },
];

export const get: Operation = {
  description: fileFields('get'),
  async execute(context, itemIndex) {
    const path = filePath(context, itemIndex);
    const file = await apiRequest<ContainerFileObject>(context, { method: 'GET', path });
    return [{ json: shown(file), pairedItem: { item: itemIndex } }];
  },
};

export const getMany: Operation = {
  description: [containerLocator(showFor('file', 'getMany')), ...returnAllFields(showFor('file', 'getMany'))],
  async execute(context, itemIndex) {
    const container = encodeURIComponent(containerIdOf(context, itemIndex));
    const files = await listAll<ContainerFileObject>(
      context,
      `/containers/${container}/files`,
      limitOf(context, itemIndex),
    );
    return files.map((file) => ({ json: shown(file), pairedItem: { item: itemIndex } }));
  },
};

interface Kept {
  json: IDataObject;
  /** Where it can be read now. */
  path: string;
  fileName: string;
}

/** A file, also after its container has expired: the Files API goes on serving it under its ID. */
async function kept(context: IExecuteFunctions, path: string): Promise<Kept> {
  try {
    const file = await apiRequest<ContainerFileObject>(context, { method: 'GET', path });
    return { json: shown(file), path, fileName: baseName(file.path) };
  } catch (error) {
    if (!(error instanceof NodeApiError) || error.httpCode !== '404')
      throw new NodeApiError(context.getNode(), error as never);
    const own = `/files/${path.slice(path.lastIndexOf('/') + 1)}`;
    context.logger.debug('The container is gone; its file is looked for by its ID alone', { path });
    const file = await apiRequest<FileObject>(context, { method: 'GET', path: own });
    const json = { ...file, filename: file.filename, mime_type: mimeTypeOf(file.filename) };
    return { json, path: own, fileName: file.filename };
  }
}

export const download: Operation = {
  description: [...fileFields('download'), binaryOutputField(showFor('file', 'download'))],
  async execute(context, itemIndex) {
    const { json, path, fileName } = await kept(context, filePath(context, itemIndex));
    const property = context.getNodeParameter('outputField', itemIndex) as string;
    const binary = await downloadAs(context, `${path}/content`, fileName);
    return [{ json, binary: { [property]: binary }, pairedItem: { item: itemIndex } }];
  },
};

export const remove: Operation = {
  description: fileFields('delete'),
  async execute(context, itemIndex) {
    await apiRequest(context, { method: 'DELETE', path: filePath(context, itemIndex) });
    const id = String(context.getNodeParameter('containerFileId', itemIndex)).trim();
    return [{ json: { deleted: true, id }, pairedItem: { item: itemIndex } }];
  },
};
