/** What the panel of Ask a Model asks for, in the order in which a person fills it in. */
import type { INodeProperties } from 'n8n-workflow';
import {
  containerFields,
  fileOutputFields,
  inputFilesField,
  keepContainerOption,
  linkOption,
  memoryOption,
  outputFieldOption,
  showFor,
  simplifyField,
  splitFilesOption,
} from '../../shared/descriptions';

const show = showFor('response', 'create');
export const DEFAULT_TIMEOUT_SECONDS = 1800;
export const DEFAULT_INTERVAL_SECONDS = 5;

export const onCodeErrorOption: INodeProperties = {
  displayName: 'On Code Error',
  name: 'onCodeError',
  type: 'options',
  default: 'stop',
  description:
    'What to do when the response fails, is cut off or is cancelled, or when the code of the model python raises an exception',
  options: [
    {
      name: 'Continue With Traceback',
      value: 'continue',
      description: 'Output an item whose status and error say what happened',
    },
    {
      name: 'Stop',
      value: 'stop',
      description: 'Fail like any other node: retry, stop the workflow or use the error output',
    },
  ],
};

export const createFields: INodeProperties[] = [
  {
    displayName: 'Model',
    name: 'model',
    type: 'resourceLocator',
    default: { mode: 'list', value: 'default', cachedResultName: 'Default of the Server' },
    required: true,
    description:
      'The model that reads the prompt and writes the code. The built-in model python is none: it runs the prompt itself as Python code.',
    displayOptions: show,
    modes: [
      {
        displayName: 'From List',
        name: 'list',
        type: 'list',
        typeOptions: { searchListMethod: 'getModels', searchable: true },
      },
      { displayName: 'By ID', name: 'id', type: 'string', placeholder: 'e.g. gpt-5-mini' },
    ],
  },
  {
    displayName: 'Prompt',
    name: 'prompt',
    type: 'string',
    typeOptions: { rows: 5 },
    default: '',
    required: true,
    placeholder: 'e.g. Show the revenue by month as a bar chart, and write a cleaned workbook',
    description: 'The prompt. With the model python, the Python code to run.',
    displayOptions: show,
  },
  inputFilesField(show),
  ...containerFields(show, 'new'),
  {
    displayName: 'Run Mode',
    name: 'runMode',
    type: 'options',
    default: 'poll',
    noDataExpression: true,
    description: 'How the node waits for the answer',
    options: [
      {
        name: 'Do Not Wait',
        value: 'start',
        description: "Output the ID at once; read the answer later with 'Wait for Completion' or a trigger",
      },
      {
        name: 'Release Execution Until Called Back',
        value: 'callback',
        description:
          'For long runs of one item: the execution releases its worker while it waits. The server must be able to reach n8n. Files are output as IDs.',
      },
      {
        name: 'Wait (One Connection)',
        value: 'connection',
        description: 'For short runs: proxies may cut a connection that is silent for minutes',
      },
      {
        name: 'Wait (Polling)',
        value: 'poll',
        description: 'Runs in the background on the server, which the node polls',
      },
    ],
    displayOptions: show,
  },
  ...fileOutputFields(show),
  simplifyField(show),
  {
    displayName: 'Options',
    name: 'options',
    type: 'collection',
    placeholder: 'Add option',
    default: {},
    displayOptions: show,
    options: [
      {
        displayName: 'Conversation ID',
        name: 'conversation',
        type: 'string',
        default: '',
        placeholder: 'e.g. conv_abc123',
        description: 'A conversation that the prompt and the answer are added to',
      },
      {
        displayName: 'Instructions',
        name: 'instructions',
        type: 'string',
        typeOptions: { rows: 3 },
        default: '',
        description: 'System instructions, placed before the prompt',
      },
      {
        displayName: 'JSON Schema of Output',
        name: 'jsonSchema',
        type: 'json',
        default: '',
        description:
          'Makes the model answer with JSON that fits this schema. The parsed JSON is in output_json.',
      },
      keepContainerOption,
      linkOption,
      {
        displayName: 'Max Output Tokens',
        name: 'maxOutputTokens',
        type: 'number',
        default: 4096,
        typeOptions: { minValue: 16 },
        description: 'Maximum number of output tokens, including reasoning',
      },
      {
        displayName: 'Max Tool Calls',
        name: 'maxToolCalls',
        type: 'number',
        default: 20,
        typeOptions: { minValue: 1 },
        description: 'Maximum number of code runs',
      },
      memoryOption,
      {
        displayName: 'Metadata',
        name: 'metadata',
        type: 'fixedCollection',
        typeOptions: { multipleValues: true },
        default: {},
        placeholder: 'Add entry',
        description: 'Up to 16 notes stored with the response',
        options: [
          {
            displayName: 'Entry',
            name: 'entry',
            values: [
              { displayName: 'Key', name: 'key', type: 'string', default: '' },
              { displayName: 'Value', name: 'value', type: 'string', default: '' },
            ],
          },
        ],
      },
      onCodeErrorOption,
      {
        displayName: 'Polling Interval (Seconds)',
        name: 'pollInterval',
        type: 'number',
        default: DEFAULT_INTERVAL_SECONDS,
        typeOptions: { minValue: 1 },
        description: 'Maximum polling interval; the first polls come sooner',
      },
      {
        displayName: 'Previous Response ID',
        name: 'previousResponseId',
        type: 'string',
        default: '',
        placeholder: 'e.g. resp_abc123',
        description: 'Response to continue from: the model remembers it and works in its container',
      },
      outputFieldOption,
      {
        displayName: 'Reasoning Effort',
        name: 'reasoningEffort',
        type: 'options',
        default: 'medium',
        description: 'How long a reasoning model thinks',
        options: [
          { name: 'High', value: 'high' },
          { name: 'Low', value: 'low' },
          { name: 'Medium', value: 'medium' },
          { name: 'Minimal', value: 'minimal' },
          { name: 'None', value: 'none' },
        ],
      },
      {
        displayName: 'Require Code',
        name: 'requireCode',
        type: 'boolean',
        default: false,
        description: 'Whether the model must run code before it answers',
      },
      splitFilesOption,
      {
        displayName: 'Temperature',
        name: 'temperature',
        type: 'number',
        default: 1,
        typeOptions: { minValue: 0, maxValue: 2, numberPrecision: 2 },
        description: 'How much the answers of the model vary',
      },
      {
        displayName: 'Timeout (Seconds)',
        name: 'timeout',
        type: 'number',
        default: DEFAULT_TIMEOUT_SECONDS,
        typeOptions: { minValue: 1 },
        description: 'How long the node waits for the answer',
      },
    ],
  },
];
