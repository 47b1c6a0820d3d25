/** Upload, Get, Get Many, Download and Delete of the Files API. */
import type { IDataObject, IExecuteFunctions } from 'n8n-workflow';
import { downloadAs, outgoing, uploadFile } from '../../shared/binary';
import {
  binaryInputField,
  binaryOutputField,
  fileLocator,
  returnAllFields,
  showFor,
} from '../../shared/descriptions';
import { mimeTypeOf } from '../../shared/mime';
import type { Operation } from '../../shared/operation';
import { limitOf, listAll } from '../../shared/pagination';
import { apiRequest, pathId } from '../../shared/transport';
import type { FileObject } from '../../shared/types';

const show = (...operations: string[]) => showFor('file', ...operations);

const PURPOSES = [
  { name: 'Assistants', value: 'assistants' },
  { name: 'Batch', value: 'batch' },
  { name: 'Evals', value: 'evals' },
  { name: 'Fine-Tune', value: 'fine-tune' },
  { name: 'User Data', value: 'user_data' },
  { name: 'Vision', value: 'vision' },
];

const shown = (file: FileObject): IDataObject => ({ ...file, mime_type: mimeTypeOf(file.filename) });

const filePath = (context: IExecuteFunctions, itemIndex: number): string => {
  const id = context.getNodeParameter('fileId', itemIndex, '', { extractValue: true });
  return `/files/${pathId(context.getNode(), 'File', id, itemIndex)}`;
};

export const upload: Operation = {
  description: [
    binaryInputField(show('upload')),
    {
      displayName: 'Options',
      name: 'options',
      type: 'collection',
      placeholder: 'Add option',
      default: {},
      displayOptions: show('upload'),
      options: [
        {
          displayName: 'Expires After (Hours)',
          name: 'expiresHours',
          type: 'number',
          default: 24,
          typeOptions: { minValue: 1, maxValue: 720 },
          description:
            'Number of hours after which the server deletes the file; without this option it is kept',
        },
        {
          displayName: 'File Name',
          name: 'fileName',
          type: 'string',
          default: '',
          placeholder: 'e.g. sales.csv',
          description: 'Name of the file on the server, if it differs from the one of the binary data',
        },
        {
          displayName: 'Purpose',
          name: 'purpose',
          type: 'options',
          default: 'user_data',
          description: 'What the file is for; any purpose can be used in a container',
          options: PURPOSES,
        },
      ],
    },
  ],
  async execute(context, itemIndex) {
    const options = context.getNodeParameter('options', itemIndex, {}) as IDataObject;
    const property = context.getNodeParameter('inputField', itemIndex) as string;
    const content = await outgoing(context, itemIndex, property, options.fileName as string | undefined);
    const hours = options.expiresHours as number | undefined;
    const file = await uploadFile(context, content, {
      purpose: (options.purpose as string | undefined) ?? 'user_data',
      ...(hours === undefined ? {} : { expiresSeconds: Math.round(hours * 3600) }),
    });
    return [{ json: shown(file), pairedItem: { item: itemIndex } }];
  },
};

export const get: Operation = {
  description: [fileLocator(show('get'))],
  async execute(context, itemIndex) {
    const file = await apiRequest<FileObject>(context, { method: 'GET', path: filePath(context, itemIndex) });
    return [{ json: shown(file), pairedItem: { item: itemIndex } }];
  },
};

export const getMany: Operation = {
  description: [
    ...returnAllFields(show('getMany')),
    {
      displayName: 'Filters',
      name: 'filters',
      type: 'collection',
      placeholder: 'Add filter',
      default: {},
      displayOptions: show('getMany'),
      options: [
        {
          displayName: 'Purpose',
          name: 'purpose',
          type: 'options',
          default: 'user_data',
          description: 'Only files of this purpose',
          options: PURPOSES,
        },
      ],
    },
  ],
  async execute(context, itemIndex) {
    const filters = context.getNodeParameter('filters', itemIndex, {}) as IDataObject;
    const files = await listAll<FileObject>(context, '/files', limitOf(context, itemIndex), filters);
    return files.map((file) => ({ json: shown(file), pairedItem: { item: itemIndex } }));
  },
};

export const download: Operation = {
  description: [fileLocator(show('download')), binaryOutputField(show('download'))],
  async execute(context, itemIndex) {
    const path = filePath(context, itemIndex);
    const file = await apiRequest<FileObject>(context, { method: 'GET', path });
    const property = context.getNodeParameter('outputField', itemIndex) as string;
    const binary = await downloadAs(context, `${path}/content`, file.filename);
    return [{ json: shown(file), binary: { [property]: binary }, pairedItem: { item: itemIndex } }];
  },
};

export const remove: Operation = {
  description: [fileLocator(show('delete'))],
  async execute(context, itemIndex) {
    const { id } = await apiRequest<FileObject>(context, {
      method: 'DELETE',
      path: filePath(context, itemIndex),
    });
    return [{ json: { deleted: true, id }, pairedItem: { item: itemIndex } }];
  },
};
