import { NodeConnectionTypes } from 'n8n-workflow';
import type { IExecuteFunctions, INodeExecutionData, INodeType, INodeTypeDescription } from 'n8n-workflow';
import { errorItem, toItemError } from '../shared/errors';
import { getContainers, getFiles } from '../shared/lists';
import { operationOf, type Operations } from '../shared/operation';
import * as container from './actions/container';
import * as file from './actions/containerFile';
import { runCode } from './actions/runCode';

const OPERATIONS: Operations = {
  container: {
    create: container.create,
    delete: container.remove,
    get: container.get,
    getMany: container.getMany,
    runCode,
  },
  file: {
    delete: file.remove,
    download: file.download,
    get: file.get,
    getMany: file.getMany,
    upload: file.upload,
  },
};

export class Containers implements INodeType {
  description: INodeTypeDescription = {
    displayName: 'Code Interpreter Containers',
    name: 'containers',
    icon: { light: 'file:../icons/codeInterpreter.svg', dark: 'file:../icons/codeInterpreter.dark.svg' },
    group: ['transform'],
    version: 1,
    subtitle:
      '={{ $parameter["operation"].replace(/([A-Z])/g, " $1").toLowerCase() + ": " + $parameter["resource"].replace(/([A-Z])/g, " $1").toLowerCase() }}',
    description: 'Run Python on your items in a sandboxed container, and move files in and out of it',
    defaults: { name: 'Code Interpreter Containers' },
    usableAsTool: true,
    inputs: [NodeConnectionTypes.Main],
    outputs: [NodeConnectionTypes.Main],
    credentials: [{ name: 'codeInterpreterApi', required: true }],
    properties: [
      {
        displayName: 'Resource',
        name: 'resource',
        type: 'options',
        noDataExpression: true,
        default: 'container',
        options: [
          { name: 'Container', value: 'container' },
          { name: 'File', value: 'file' },
        ],
      },
      {
        displayName: 'Operation',
        name: 'operation',
        type: 'options',
        noDataExpression: true,
        default: 'runCode',
        displayOptions: { show: { resource: ['container'] } },
        options: [
          {
            name: 'Create',
            value: 'create',
            action: 'Create container',
            description: 'Create a container, or get the running one of a session',
          },
          {
            name: 'Delete',
            value: 'delete',
            action: 'Delete container',
            description: 'Permanently delete a container with its variables and working files',
          },
          { name: 'Get', value: 'get', action: 'Get container', description: 'Get a container' },
          {
            name: 'Get Many',
            value: 'getMany',
            action: 'Get many containers',
            description: 'Get a list of containers',
          },
          {
            name: 'Run Code',
            value: 'runCode',
            action: 'Run code in container',
            description: 'Run Python on the incoming items; charts and files come out as binary data',
          },
        ],
      },
      {
        displayName: 'Operation',
        name: 'operation',
        type: 'options',
        noDataExpression: true,
        default: 'upload',
        displayOptions: { show: { resource: ['file'] } },
        options: [
          {
            name: 'Delete',
            value: 'delete',
            action: 'Delete container file',
            description: 'Permanently delete a file',
          },
          {
            name: 'Download',
            value: 'download',
            action: 'Download container file',
            description: 'Get the content of a file as binary data',
          },
          {
            name: 'Get',
            value: 'get',
            action: 'Get container file',
            description: 'Get name, path and size of a file',
          },
          {
            name: 'Get Many',
            value: 'getMany',
            action: 'Get many container files',
            description: 'Get a list of the files in a container',
          },
          {
            name: 'Upload',
            value: 'upload',
            action: 'Upload file to container',
            description: 'Put a file into the working directory of a container',
          },
        ],
      },
      ...Object.values(OPERATIONS).flatMap((byName) =>
        Object.values(byName).flatMap(({ description }) => description),
      ),
    ],
  };

  methods = { listSearch: { getContainers, getFiles } };

  async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
    const items = this.getInputData();
    const output: INodeExecutionData[] = [];
    for (let index = 0; index < items.length; index++) {
      try {
        const operation = operationOf(this, OPERATIONS, index);
        const all = index === 0 ? await operation.executeAll?.(this) : undefined;
        if (all) return [all];
        output.push(...(await operation.execute(this, index)));
      } catch (error) {
        if (!this.continueOnFail()) throw toItemError(this.getNode(), error, index);
        output.push(errorItem(this.getNode(), error, index));
      }
    }
    return [output];
  }
}
