import { NodeConnectionTypes } from 'n8n-workflow';
import type { IExecuteFunctions, INodeExecutionData, INodeType, INodeTypeDescription } from 'n8n-workflow';
import { codeInterpreterApiTest } from '../shared/credentialTest';
import { errorItem, toItemError } from '../shared/errors';
import { getFiles } from '../shared/lists';
import { fieldsOf, operationOf, type Operations } from '../shared/operation';
import * as file from './actions/file';
import * as link from './actions/link';

const OPERATIONS: Operations = {
  file: {
    delete: file.remove,
    download: file.download,
    get: file.get,
    getMany: file.getMany,
    upload: file.upload,
  },
  link: { create: link.create, getMany: link.getMany, delete: link.remove },
};

export class Files implements INodeType {
  description: INodeTypeDescription = {
    displayName: 'Code Interpreter Files',
    name: 'files',
    icon: { light: 'file:../icons/codeInterpreter.svg', dark: 'file:../icons/codeInterpreter.dark.svg' },
    group: ['transform'],
    version: 1,
    subtitle:
      '={{ $parameter["operation"].replace(/([A-Z])/g, " $1").toLowerCase() + ": " + $parameter["resource"] }}',
    description:
      'Upload files for later analysis steps, download the files they made, and share them by link',
    defaults: { name: 'Code Interpreter Files' },
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
        default: 'file',
        options: [
          { name: 'File', value: 'file' },
          { name: 'Link', value: 'link' },
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
            action: 'Delete file',
            description: 'Permanently delete a file',
          },
          {
            name: 'Download',
            value: 'download',
            action: 'Download file',
            description: 'Get the content of a file as binary data, also of a file made in a container',
          },
          {
            name: 'Get',
            value: 'get',
            action: 'Get file',
            description: 'Get name, size and purpose of a file',
          },
          {
            name: 'Get Many',
            value: 'getMany',
            action: 'Get many files',
            description: 'Get a list of files',
          },
          {
            name: 'Upload',
            value: 'upload',
            action: 'Upload file',
            description: 'Store binary data on the server, for use in containers by its ID',
          },
        ],
      },
      {
        displayName: 'Operation',
        name: 'operation',
        type: 'options',
        noDataExpression: true,
        default: 'create',
        displayOptions: { show: { resource: ['link'] } },
        options: [
          {
            name: 'Create',
            value: 'create',
            action: 'Create link to file',
            description: 'Get a link that opens the file without a key, in a mail, a chat or a browser',
          },
          {
            name: 'Delete',
            value: 'delete',
            action: 'Delete link to file',
            description: 'Revoke a link: it opens nothing any more',
          },
          {
            name: 'Get Many',
            value: 'getMany',
            action: 'Get many links to file',
            description: 'Get the links of a file that work, and how often each was used',
          },
        ],
      },
      ...fieldsOf(OPERATIONS),
    ],
  };

  methods = { credentialTest: { codeInterpreterApiTest }, listSearch: { getFiles } };

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
