/** Create, Get, Get Many and Delete of containers. */
import type { IDataObject } from 'n8n-workflow';
import {
  containerLocator,
  idleOption,
  memoryOption,
  returnAllFields,
  sessionFields,
  showFor,
} from '../../shared/descriptions';
import { attachInputFiles } from '../../shared/binary';
import type { Operation } from '../../shared/operation';
import { limitOf, listAll } from '../../shared/pagination';
import { containerIdOf, createBody, removeWhenFinished, sessionOf } from '../../shared/session';
import { apiRequest } from '../../shared/transport';
import type { ContainerObject } from '../../shared/types';

const showCreate = showFor('container', 'create');

/** Every output carries `container_id`, the name that the fields of other steps look for. */
const shown = (container: ContainerObject): IDataObject => ({ container_id: container.id, ...container });

export const create: Operation = {
  description: [
    {
      displayName: 'Name',
      name: 'name',
      type: 'string',
      default: '',
      placeholder: 'e.g. Monthly report',
      description: 'The name shown in lists of containers; leave it empty to use the name of the workflow',
      displayOptions: showCreate,
    },
    {
      displayName: 'Reuse Container of Session',
      name: 'reuse',
      type: 'boolean',
      default: false,
      description: 'Whether to return the running container of a session if there is one',
      displayOptions: showCreate,
    },
    ...sessionFields({ show: { ...showCreate.show, reuse: [true] } }, 'execution'),
    {
      displayName: 'Options',
      name: 'options',
      type: 'collection',
      placeholder: 'Add option',
      default: {},
      displayOptions: showCreate,
      options: [
        {
          displayName: 'Delete When Execution Ends',
          name: 'deleteAtEnd',
          type: 'boolean',
          default: false,
          description: 'Whether to delete the container as soon as this execution has ended',
        },
        idleOption,
        {
          displayName: 'Input Files',
          name: 'inputFiles',
          type: 'string',
          default: '',
          placeholder: 'e.g. data, file-abc123',
          description:
            'Files to put into the container: names of binary fields of the item, or IDs of uploaded files, separated by commas',
        },
        memoryOption,
      ],
    },
  ],
  async execute(context, itemIndex) {
    const options = context.getNodeParameter('options', itemIndex, {}) as IDataObject;
    const name = (context.getNodeParameter('name', itemIndex, '') as string).trim();
    const reuse = context.getNodeParameter('reuse', itemIndex, false) as boolean;
    const session = reuse ? sessionOf(context, itemIndex) : undefined;
    const fileIds = await attachInputFiles(context, itemIndex, options.inputFiles);
    const container = await apiRequest<ContainerObject>(context, {
      method: 'POST',
      path: '/containers',
      body: {
        ...createBody(context, {
          name,
          memory: options.memory as string | undefined,
          idleMinutes: options.idleMinutes as number | undefined,
        }),
        ...(fileIds.length > 0 ? { file_ids: fileIds } : {}),
        ...(session ? { session_key: session.key } : {}),
      },
      timeout: 120_000,
    });
    if (options.deleteAtEnd === true || session?.scope === 'execution')
      removeWhenFinished(context, container.id);
    return [{ json: shown(container), pairedItem: { item: itemIndex } }];
  },
};

export const get: Operation = {
  description: [containerLocator(showFor('container', 'get'))],
  async execute(context, itemIndex) {
    const id = encodeURIComponent(containerIdOf(context, itemIndex));
    const container = await apiRequest<ContainerObject>(context, {
      method: 'GET',
      path: `/containers/${id}`,
    });
    return [{ json: shown(container), pairedItem: { item: itemIndex } }];
  },
};

export const getMany: Operation = {
  description: [
    ...returnAllFields(showFor('container', 'getMany')),
    {
      displayName: 'Filters',
      name: 'filters',
      type: 'collection',
      placeholder: 'Add filter',
      default: {},
      displayOptions: showFor('container', 'getMany'),
      options: [
        {
          displayName: 'Name',
          name: 'name',
          type: 'string',
          default: '',
          description: 'Only containers with exactly this name',
        },
        {
          displayName: 'Running Only',
          name: 'runningOnly',
          type: 'boolean',
          default: true,
          description: 'Whether to leave out containers that have expired',
        },
      ],
    },
  ],
  async execute(context, itemIndex) {
    const filters = context.getNodeParameter('filters', itemIndex, {}) as {
      name?: string;
      runningOnly?: boolean;
    };
    const limit = limitOf(context, itemIndex);
    // Expired ones are filtered here, so more than the limit may have to be read.
    const all = await listAll<ContainerObject>(
      context,
      '/containers',
      filters.runningOnly ? Number.POSITIVE_INFINITY : limit,
      filters.name ? { name: filters.name } : {},
    );
    return all
      .filter(({ status }) => !filters.runningOnly || status === 'running')
      .slice(0, limit)
      .map((container) => ({ json: shown(container), pairedItem: { item: itemIndex } }));
  },
};

export const remove: Operation = {
  description: [containerLocator(showFor('container', 'delete'))],
  async execute(context, itemIndex) {
    const id = containerIdOf(context, itemIndex);
    await apiRequest(context, { method: 'DELETE', path: `/containers/${encodeURIComponent(id)}` });
    return [{ json: { deleted: true, container_id: id }, pairedItem: { item: itemIndex } }];
  },
};
