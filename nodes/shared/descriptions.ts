/** Parameters that several operations share. */
import type { IDisplayOptions, INodeProperties } from 'n8n-workflow';

export const showFor = (resource: string, ...operations: string[]): IDisplayOptions => ({
  show: { resource: [resource], operation: operations },
});

const and = (
  displayOptions: IDisplayOptions,
  more: NonNullable<IDisplayOptions['show']>,
): IDisplayOptions => ({
  show: { ...displayOptions.show, ...more },
});

export const containerLocator = (displayOptions: IDisplayOptions): INodeProperties => ({
  displayName: 'Container',
  name: 'containerId',
  type: 'resourceLocator',
  default: { mode: 'id', value: '={{ $json.container_id }}' },
  required: true,
  description: 'The sandbox to work in; Run Python and Create output its ID as container_id',
  displayOptions,
  modes: [
    {
      displayName: 'From List',
      name: 'list',
      type: 'list',
      typeOptions: { searchListMethod: 'getContainers', searchable: true },
    },
    { displayName: 'By ID', name: 'id', type: 'string', placeholder: 'e.g. {{ $json.container_id }}' },
  ],
});

export const fileLocator = (displayOptions: IDisplayOptions): INodeProperties => ({
  displayName: 'File',
  name: 'fileId',
  type: 'resourceLocator',
  default: { mode: 'list', value: '' },
  required: true,
  description: 'The file on the server',
  displayOptions,
  modes: [
    {
      displayName: 'From List',
      name: 'list',
      type: 'list',
      typeOptions: { searchListMethod: 'getFiles', searchable: true },
    },
    { displayName: 'By ID', name: 'id', type: 'string', placeholder: 'e.g. {{ $json.id }}' },
  ],
});

/** The rows below a session choice; also used by the tool, which has no `container` field. */
export const sessionFields = (
  displayOptions: IDisplayOptions,
  fallback: 'execution' | 'chat',
): INodeProperties[] => [
  {
    displayName: 'Session',
    name: 'session',
    type: 'options',
    default: fallback,
    description: 'Which steps share a container, and with it their variables and files',
    hint: 'Steps of one session share variables and files. An execution is one run of this workflow.',
    options: [
      {
        name: 'Chat',
        value: 'chat',
        description: 'One container for each conversation of a chat',
      },
      {
        name: 'Custom Key',
        value: 'custom',
        description: 'One container for each key of your own, shared by all workflows of this n8n',
      },
      {
        name: 'Execution',
        value: 'execution',
        description: 'One container for each run of this workflow, deleted when the run ends',
      },
      {
        name: 'Workflow',
        value: 'workflow',
        description:
          'One container for all runs of this workflow, also those at the same time, until it is idle for its lifetime',
      },
    ],
    displayOptions,
  },
  {
    displayName: 'Chat Session ID',
    name: 'chatSessionId',
    type: 'string',
    default: '={{ $json.sessionId }}',
    description: 'The session ID passed by a Chat Trigger',
    displayOptions: and(displayOptions, { session: ['chat'] }),
  },
  {
    displayName: 'Session Key',
    name: 'sessionKey',
    type: 'string',
    default: '',
    placeholder: 'e.g. customer-4711',
    description: 'Steps with the same key share a container',
    displayOptions: and(displayOptions, { session: ['custom'] }),
  },
];

export const containerFields = (
  displayOptions: IDisplayOptions,
  fallback: 'new' | 'session',
): INodeProperties[] => [
  {
    displayName: 'Run In',
    name: 'container',
    type: 'options',
    default: fallback,
    description: 'Which container runs the code',
    hint: 'A container is a sandbox with Python that keeps its variables and files while it runs',
    options: [
      {
        name: 'Container by ID',
        value: 'id',
        description: 'A container that an earlier step created or used',
      },
      {
        name: 'New Container',
        value: 'new',
        description: 'A fresh one for this step, removed afterwards',
      },
      {
        name: 'Session',
        value: 'session',
        description: 'One that the steps of an execution, a workflow or a chat share',
      },
    ],
    displayOptions,
  },
  containerLocator(and(displayOptions, { container: ['id'] })),
  ...sessionFields(and(displayOptions, { container: ['session'] }), 'execution'),
];

export const memoryOption: INodeProperties = {
  displayName: 'Memory',
  name: 'memory',
  type: 'options',
  default: '1g',
  description: 'Memory of the container, set when it is created. A running container keeps its size.',
  options: [
    { name: '1 GB', value: '1g' },
    { name: '4 GB', value: '4g' },
    { name: '16 GB', value: '16g' },
    { name: '64 GB', value: '64g' },
  ],
};

export const idleOption: INodeProperties = {
  displayName: 'Idle Lifetime (Minutes)',
  name: 'idleMinutes',
  type: 'number',
  default: 20,
  typeOptions: { minValue: 1, maxValue: 20 },
  description: 'How long a container may be idle before it expires and its variables are lost',
};

/** Beside a choice of `New Container`. */
export const keepContainerOption: INodeProperties = {
  displayName: 'Keep Container',
  name: 'keepContainer',
  type: 'boolean',
  default: false,
  description:
    'Whether to keep the new container, with its variables and files, until it expires. Otherwise it is removed as soon as no output needs it, at the latest when the execution ends.',
  displayOptions: { show: { '/container': ['new'] } },
};

export const inputFilesField = (displayOptions: IDisplayOptions): INodeProperties => ({
  displayName: 'Input Files',
  name: 'inputFiles',
  type: 'string',
  default: '*',
  placeholder: 'e.g. data, file-abc123',
  description:
    'Files that the code can open: * for all binary fields of the item, or names of binary fields and IDs of uploaded files, separated by commas. Leave it empty for none.',
  displayOptions,
});

export const fileOutputFields = (displayOptions: IDisplayOptions): INodeProperties[] => [
  {
    displayName: 'Download Files',
    name: 'downloadFiles',
    type: 'options',
    default: 'all',
    description: 'Which of the charts and files made by the code become binary data of the item',
    options: [
      { name: 'All', value: 'all', description: 'Every file and every chart' },
      { name: 'By Name', value: 'pattern', description: 'Only files whose name matches a pattern' },
      { name: 'Images Only', value: 'images', description: 'Only charts and pictures' },
      { name: 'None', value: 'none', description: 'Only the IDs, for a later download' },
    ],
    displayOptions,
  },
  {
    displayName: 'File Names',
    name: 'filePattern',
    type: 'string',
    default: '*.xlsx',
    placeholder: 'e.g. *.csv, report-*.pdf',
    description: 'Patterns separated by commas; * stands for any text, ? for one character',
    displayOptions: and(displayOptions, { downloadFiles: ['pattern'] }),
  },
];

export const outputFieldOption: INodeProperties = {
  displayName: 'Put Output Files in Field',
  name: 'outputField',
  type: 'string',
  default: 'data',
  hint: 'The second file goes into data_1, the third into data_2',
  description: 'The name of the output binary field to put the files in',
};

export const linkOption: INodeProperties = {
  displayName: 'Link Lifetime (Hours)',
  name: 'linkHours',
  type: 'number',
  default: 24,
  typeOptions: { minValue: 1, maxValue: 720 },
  description:
    'Adds a link to each entry of files, for chats and mails. It opens the file without a key for this many hours; anyone who has it can open the file.',
};

export const splitFilesOption: INodeProperties = {
  displayName: 'Split Files Into Items',
  name: 'splitFiles',
  type: 'boolean',
  default: false,
  description: 'Whether to output one item for each file, as nodes that upload files expect',
};

export const simplifyField = (displayOptions: IDisplayOptions): INodeProperties => ({
  displayName: 'Simplify',
  name: 'simplify',
  type: 'boolean',
  default: true,
  description: 'Whether to return a simplified version of the response instead of the raw data',
  displayOptions,
});

export const returnAllFields = (displayOptions: IDisplayOptions): INodeProperties[] => [
  {
    displayName: 'Return All',
    name: 'returnAll',
    type: 'boolean',
    default: false,
    description: 'Whether to return all results or only up to a given limit',
    displayOptions,
  },
  {
    displayName: 'Limit',
    name: 'limit',
    type: 'number',
    default: 50,
    typeOptions: { minValue: 1 },
    description: 'Max number of results to return',
    displayOptions: and(displayOptions, { returnAll: [false] }),
  },
];

export const binaryInputField = (displayOptions: IDisplayOptions): INodeProperties => ({
  displayName: 'Input Binary Field',
  name: 'inputField',
  type: 'string',
  default: 'data',
  required: true,
  hint: 'The name of the input binary field containing the file to be uploaded',
  displayOptions,
});

export const binaryOutputField = (displayOptions: IDisplayOptions): INodeProperties => ({
  displayName: 'Put Output File in Field',
  name: 'outputField',
  type: 'string',
  default: 'data',
  required: true,
  hint: 'The name of the output binary field to put the file in',
  displayOptions,
});
