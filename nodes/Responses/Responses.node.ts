import { NodeConnectionTypes, NodeOperationError } from 'n8n-workflow';
import type {
  IDataObject,
  IExecuteFunctions,
  INodeExecutionData,
  INodeType,
  INodeTypeDescription,
  IWebhookFunctions,
  IWebhookResponseData,
} from 'n8n-workflow';
import { codeInterpreterApiTest } from '../shared/credentialTest';
import { errorItem, toItemError } from '../shared/errors';
import { getContainers, getModels } from '../shared/lists';
import { fieldsOf, operationOf, type Operations } from '../shared/operation';
import { create } from './actions/create';
import { resumed } from './actions/resumed';
import { cancel, get, getInputItems, remove, wait } from './actions/stored';

const OPERATIONS: Operations = {
  response: { create, get, wait, cancel, delete: remove },
  inputItem: { getMany: getInputItems },
};

export class Responses implements INodeType {
  description: INodeTypeDescription = {
    displayName: 'Code Interpreter Responses',
    name: 'responses',
    icon: { light: 'file:../icons/codeInterpreter.svg', dark: 'file:../icons/codeInterpreter.dark.svg' },
    group: ['transform'],
    version: 1,
    subtitle:
      '={{ $parameter["operation"] === "create" ? "Ask a Model" : $parameter["operation"].replace(/([A-Z])/g, " $1").toLowerCase() + ": " + $parameter["resource"].replace(/([A-Z])/g, " $1").toLowerCase() }}',
    description:
      'Ask a model about files and data: it writes and runs Python, and answers with text, charts and files',
    defaults: { name: 'Code Interpreter Responses' },
    usableAsTool: true,
    inputs: [NodeConnectionTypes.Main],
    outputs: [NodeConnectionTypes.Main],
    credentials: [{ name: 'codeInterpreterApi', required: true, testedBy: 'codeInterpreterApiTest' }],
    waitingNodeTooltip: 'Waiting for the response to finish',
    webhooks: [
      {
        name: 'default',
        httpMethod: 'POST',
        responseMode: 'onReceived',
        path: '',
        restartWebhook: true,
      },
    ],
    properties: [
      {
        displayName: 'Resource',
        name: 'resource',
        type: 'options',
        noDataExpression: true,
        default: 'response',
        options: [
          { name: 'Response', value: 'response' },
          { name: 'Input Item', value: 'inputItem' },
        ],
      },
      {
        displayName: 'Operation',
        name: 'operation',
        type: 'options',
        noDataExpression: true,
        default: 'create',
        displayOptions: { show: { resource: ['response'] } },
        options: [
          {
            name: 'Ask a Model',
            value: 'create',
            action: 'Ask a model about files and data',
            description: 'Let a model analyse data with Python; charts and files come out as binary data',
          },
          {
            name: 'Cancel',
            value: 'cancel',
            action: 'Cancel response',
            description: 'Stop a response that is running in the background, and its code',
          },
          {
            name: 'Delete',
            value: 'delete',
            action: 'Delete response',
            description: 'Permanently delete a response',
          },
          { name: 'Get', value: 'get', action: 'Get response', description: 'Get a response with its files' },
          {
            name: 'Wait for Completion',
            value: 'wait',
            action: 'Wait for completion of response',
            description: 'Wait for a response that is running in the background',
          },
        ],
      },
      {
        displayName: 'Operation',
        name: 'operation',
        type: 'options',
        noDataExpression: true,
        default: 'getMany',
        displayOptions: { show: { resource: ['inputItem'] } },
        options: [
          {
            name: 'Get Many',
            value: 'getMany',
            action: 'Get many input items',
            description: 'Get the input that a response was created with',
          },
        ],
      },
      ...fieldsOf(OPERATIONS),
    ],
  };

  methods = { credentialTest: { codeInterpreterApiTest }, listSearch: { getContainers, getModels } };

  /** The resume URL belongs to the execution, so there is nothing to register. */
  webhookMethods = {
    default: {
      async checkExists(): Promise<boolean> {
        return true;
      },
      async create(): Promise<boolean> {
        return true;
      },
      async delete(): Promise<boolean> {
        return true;
      },
    },
  };

  /** The server calls back when the response has ended. */
  async webhook(this: IWebhookFunctions): Promise<IWebhookResponseData> {
    const data = this.getBodyData().data as IDataObject | undefined;
    if (typeof data?.id !== 'string') {
      throw new NodeOperationError(this.getNode(), 'The callback has no response ID', {
        description: 'Only the Code Interpreter server calls this address.',
      });
    }
    return { workflowData: [[await resumed(this, data.id)]] };
  }

  async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
    const items = this.getInputData();
    const output: INodeExecutionData[] = [];
    for (let index = 0; index < items.length; index++) {
      try {
        const operation = operationOf(this, OPERATIONS, index);
        output.push(...(await operation.execute(this, index)));
      } catch (error) {
        if (!this.continueOnFail()) throw toItemError(this.getNode(), error, index);
        output.push(errorItem(this.getNode(), error, { item: index }));
      }
    }
    return [output];
  }
}
