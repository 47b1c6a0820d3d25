/** Create, Get Many and Delete of the links that open a file without a key. */
import type { IExecuteFunctions, INodeProperties } from 'n8n-workflow';
import { fileLocator, returnAllFields, showFor } from '../../shared/descriptions';
import { createLink, type FileLink } from '../../shared/links';
import type { Operation } from '../../shared/operation';
import { limitOf, listAll } from '../../shared/pagination';
import { apiRequest, pathId } from '../../shared/transport';

const show = (...operations: string[]) => showFor('link', ...operations);

/** Of the file, encoded for a path. */
const fileOf = (context: IExecuteFunctions, itemIndex: number): string =>
  pathId(
    context.getNode(),
    'File',
    context.getNodeParameter('fileId', itemIndex, '', { extractValue: true }),
    itemIndex,
  );

const lifetimeField: INodeProperties = {
  displayName: 'Link Lifetime (Hours)',
  name: 'linkHours',
  type: 'number',
  default: 24,
  required: true,
  typeOptions: { minValue: 1, maxValue: 720 },
  description: 'How long the link opens the file without a key. Anyone who has it can open the file.',
  displayOptions: show('create'),
};

export const create: Operation = {
  description: [fileLocator(show('create')), lifetimeField],
  async execute(context, itemIndex) {
    const id = decodeURIComponent(fileOf(context, itemIndex));
    const json = await createLink(context, id, context.getNodeParameter('linkHours', itemIndex) as number);
    return [{ json, pairedItem: { item: itemIndex } }];
  },
};

export const getMany: Operation = {
  description: [fileLocator(show('getMany')), ...returnAllFields(show('getMany'))],
  async execute(context, itemIndex) {
    const path = `/files/${fileOf(context, itemIndex)}/links`;
    const links = await listAll<FileLink>(context, path, limitOf(context, itemIndex));
    return links.map((json) => ({ json, pairedItem: { item: itemIndex } }));
  },
};

export const remove: Operation = {
  description: [
    fileLocator(show('delete')),
    {
      displayName: 'Link ID',
      name: 'linkId',
      type: 'string',
      default: '={{ $json.id }}',
      required: true,
      placeholder: 'e.g. link_abc123',
      description: 'ID of the link, as Create and Get Many output it',
      displayOptions: show('delete'),
    },
  ],
  async execute(context, itemIndex) {
    const id = pathId(context.getNode(), 'Link ID', context.getNodeParameter('linkId', itemIndex), itemIndex);
    await apiRequest(context, { method: 'DELETE', path: `/files/${fileOf(context, itemIndex)}/links/${id}` });
    return [{ json: { deleted: true, id: decodeURIComponent(id) }, pairedItem: { item: itemIndex } }];
  },
};
