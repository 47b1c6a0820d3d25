import { NodeConnectionTypes } from 'n8n-workflow';
import type { IExecuteFunctions, INodeExecutionData, INodeType, INodeTypeDescription } from 'n8n-workflow';
import { codeInterpreterApiTest } from '../shared/credentialTest';
import { errorItem, toItemError } from '../shared/errors';
import { getContainers, getFiles } from '../shared/lists';
import { fieldsOf, operationOf, type Operations } from '../shared/operation';
import * as container from './actions/container';
import * as file from './actions/containerFile';
import { runCode, runsOnce } from './actions/runCode';

const OPERATIONS: Operations = {
  code: { runCode },
  container: {
    create: container.create,
    get: container.get,
    getMany: container.getMany,
    delete: container.remove,
    // Workflows of the first releases name it here.
    runCode,
  },
  file: {
    upload: file.upload,
    download: file.download,
    get: file.get,
    getMany: file.getMany,
    delete: file.remove,
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
      '={{ $parameter["operation"] === "runCode" ? "Run Python" : $parameter["operation"].replace(/([A-Z])/g, " $1").toLowerCase() + ": " + $parameter["resource"] }}',
    description: 'Run Python on items and files, and manage the sandboxed containers it runs in',
    defaults: { name: 'Code Interpreter Containers' },
    usableAsTool: true,
    inputs: [NodeConnectionTypes.Main],
    outputs: [NodeConnectionTypes.Main],
    credentials: [{ name: 'codeInterpreterApi', required: true, testedBy: 'codeInterpreterApiTest' }],
    properties: [
      {
        displayName: 'Resource',
        name: 'resource',
        type: 'options',
        noDataExpression: true,
        default: 'code',
        options: [
          { name: 'Code', value: 'code' },
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
        displayOptions: { show: { resource: ['code'] } },
        options: [
          {
            name: 'Run Python',
            value: 'runCode',
            action: 'Run code on items and files',
            description:
              'Run Python code on the incoming items and files; charts and files come out as binary data',
          },
        ],
      },
      {
        displayName: 'Operation',
        name: 'operation',
        type: 'options',
        noDataExpression: true,
        default: 'create',
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
      ...fieldsOf(OPERATIONS),
    ],
  };

  methods = { credentialTest: { codeInterpreterApiTest }, listSearch: { getContainers, getFiles } };

  async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
    const items = this.getInputData();
    const output: INodeExecutionData[] = [];
    const all = items.map((_, index) => ({ item: index }));
    const isOnce = runsOnce(this);
    for (let index = 0; index < (isOnce ? 1 : items.length); index++) {
      try {
        const operation = operationOf(this, OPERATIONS, index);
        output.push(...(await (isOnce ? runCode.executeAll(this) : operation.execute(this, index))));
      } catch (error) {
        if (!this.continueOnFail()) throw toItemError(this.getNode(), error, index);
        output.push(errorItem(this.getNode(), error, isOnce ? all : { item: index }));
      }
    }
    return [output];
  }
}
