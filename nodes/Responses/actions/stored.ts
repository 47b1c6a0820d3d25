/** Operations on a response that is there: Get, Cancel, Delete, Wait for Completion, Get Many Input Items. */
import type { IDataObject, IExecuteFunctions, INodeProperties } from 'n8n-workflow';
import {
  fileOutputFields,
  linkOption,
  outputFieldOption,
  returnAllFields,
  showFor,
  simplifyField,
  splitFilesOption,
} from '../../shared/descriptions';
import { finishedResponse } from '../../shared/finishedResponse';
import type { Operation } from '../../shared/operation';
import { limitOf, listAll } from '../../shared/pagination';
import { cancelResponse, getResponse, INCLUDE_OUTPUTS, waitForResponse } from '../../shared/poll';
import { simplified } from '../../shared/responseData';
import { apiRequest, pathId } from '../../shared/transport';
import type { ResponseItem } from '../../shared/types';
import { onCodeErrorOption } from './createFields';
import { failIfAsked, present } from './output';

/** Checked, and as it is: paths are built where the request is made. */
const responseId = (context: IExecuteFunctions, itemIndex: number): string =>
  decodeURIComponent(
    pathId(context.getNode(), 'Response ID', context.getNodeParameter('responseId', itemIndex), itemIndex),
  );

const idField = (resource: string, operation: string) => ({
  displayName: 'Response ID',
  name: 'responseId',
  type: 'string' as const,
  default: '={{ $json.id }}',
  required: true,
  placeholder: 'e.g. resp_abc123',
  description: 'ID of the response',
  displayOptions: showFor(resource, operation),
});

/** Which response, and what of it comes out. */
const shownFields = (operation: string): INodeProperties[] => [
  idField('response', operation),
  ...fileOutputFields(showFor('response', operation)),
  simplifyField(showFor('response', operation)),
];

export const get: Operation = {
  description: [
    ...shownFields('get'),
    {
      displayName: 'Options',
      name: 'options',
      type: 'collection',
      placeholder: 'Add option',
      default: {},
      displayOptions: showFor('response', 'get'),
      options: [linkOption, outputFieldOption, splitFilesOption],
    },
  ],
  async execute(context, itemIndex) {
    const response = await getResponse(context, responseId(context, itemIndex));
    return await present(context, await finishedResponse(context, response), itemIndex);
  },
};

export const wait: Operation = {
  description: [
    ...shownFields('wait'),
    {
      displayName: 'Options',
      name: 'options',
      type: 'collection',
      placeholder: 'Add option',
      default: {},
      displayOptions: showFor('response', 'wait'),
      options: [
        linkOption,
        onCodeErrorOption,
        {
          displayName: 'Polling Interval (Seconds)',
          name: 'pollInterval',
          type: 'number',
          default: 5,
          typeOptions: { minValue: 1 },
          description: 'Maximum polling interval',
        },
        outputFieldOption,
        splitFilesOption,
        {
          displayName: 'Timeout (Seconds)',
          name: 'timeout',
          type: 'number',
          default: 1800,
          typeOptions: { minValue: 1 },
          description: 'How long the node waits for the answer',
        },
      ],
    },
  ],
  async execute(context, itemIndex) {
    const options = context.getNodeParameter('options', itemIndex, {}) as IDataObject;
    const started = await getResponse(context, responseId(context, itemIndex));
    const response = await waitForResponse(context, started, {
      timeoutMs: ((options.timeout as number | undefined) ?? 1800) * 1000,
      intervalMs: ((options.pollInterval as number | undefined) ?? 5) * 1000,
      itemIndex,
    });
    const finished = await finishedResponse(context, response);
    failIfAsked(context, finished, itemIndex);
    return await present(context, finished, itemIndex);
  },
};

export const cancel: Operation = {
  description: [idField('response', 'cancel')],
  async execute(context, itemIndex) {
    const response = await cancelResponse(context, responseId(context, itemIndex));
    return [{ json: simplified(response, []), pairedItem: { item: itemIndex } }];
  },
};

export const remove: Operation = {
  description: [idField('response', 'delete')],
  async execute(context, itemIndex) {
    const id = responseId(context, itemIndex);
    await apiRequest(context, { method: 'DELETE', path: `/responses/${encodeURIComponent(id)}` });
    return [{ json: { deleted: true, id }, pairedItem: { item: itemIndex } }];
  },
};

export const getInputItems: Operation = {
  description: [idField('inputItem', 'getMany'), ...returnAllFields(showFor('inputItem', 'getMany'))],
  async execute(context, itemIndex) {
    const items = await listAll<ResponseItem>(
      context,
      `/responses/${encodeURIComponent(responseId(context, itemIndex))}/input_items`,
      limitOf(context, itemIndex),
      { order: 'asc', 'include[]': INCLUDE_OUTPUTS[0] },
    );
    return items.map((json) => ({ json, pairedItem: { item: itemIndex } }));
  },
};
