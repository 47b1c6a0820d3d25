import { NodeOperationError } from 'n8n-workflow';
import type { IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';
import {
  containerFields,
  fileOutputFields,
  inputFilesField,
  memoryOption,
  outputFieldOption,
  showFor,
  simplifyField,
  splitFilesOption,
} from '../../shared/descriptions';
import type { Operation } from '../../shared/operation';
import { waitForResponse } from '../../shared/poll';
import { containerOf } from '../../shared/responseData';
import { deleteWhenFinished, isToolCall } from '../../shared/session';
import { apiRequest } from '../../shared/transport';
import type { ResponseObject } from '../../shared/types';
import { failIfAsked, present } from './output';
import { type CreateOptions, createRequest } from './request';

const show = showFor('response', 'create');
const DEFAULT_TIMEOUT_SECONDS = 1800;
const DEFAULT_INTERVAL_SECONDS = 5;

async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
  const options = context.getNodeParameter('options', itemIndex, {}) as CreateOptions;
  const timeoutMs = (options.timeout ?? DEFAULT_TIMEOUT_SECONDS) * 1000;
  const wanted = context.getNodeParameter('runMode', itemIndex, 'poll') as string;
  // An agent waits for its tools; it cannot be put to sleep in the middle.
  const runMode = isToolCall(context) && wanted === 'callback' ? 'poll' : wanted;
  if (runMode === 'callback') return await releaseExecution(context, itemIndex, timeoutMs);
  const { body, choice } = await createRequest(context, itemIndex);
  const started = await apiRequest<ResponseObject>(context, {
    method: 'POST',
    path: '/responses',
    body: runMode === 'connection' ? body : { ...body, background: true },
    timeout: runMode === 'connection' ? timeoutMs : undefined,
  });
  const isStartedOnly = runMode === 'start';
  const response = isStartedOnly
    ? started
    : await waitForResponse(context, started, {
        timeoutMs,
        intervalMs: (options.pollInterval ?? DEFAULT_INTERVAL_SECONDS) * 1000,
        itemIndex,
      });
  if (!isStartedOnly) failIfAsked(context, response, itemIndex);
  const containerId = containerOf(response);
  if (choice.mode === 'session' && choice.scope === 'execution' && containerId !== null) {
    deleteWhenFinished(context, containerId);
  }
  return await present(context, response, itemIndex);
}

/** The execution sleeps in n8n's database until the server calls its resume URL. One wait an execution. */
async function releaseExecution(
  context: IExecuteFunctions,
  itemIndex: number,
  timeoutMs: number,
): Promise<INodeExecutionData[]> {
  if (context.getInputData().length > 1) {
    throw new NodeOperationError(context.getNode(), "This 'Run Mode' takes one item, and several came in", {
      description:
        "An execution can wait once. Put a Loop Over Items node in front, or choose 'Wait (Polling)' in 'Run Mode'.",
      itemIndex,
    });
  }
  const { $execution } = context.getWorkflowDataProxy(itemIndex) as { $execution?: { resumeUrl?: string } };
  const callbackUrl = $execution?.resumeUrl;
  if (!callbackUrl) {
    throw new NodeOperationError(context.getNode(), 'This execution has no address to be called back at', {
      description: "Choose 'Wait (Polling)' in 'Run Mode'.",
      itemIndex,
    });
  }
  const { body } = await createRequest(context, itemIndex);
  const started = await apiRequest<ResponseObject>(context, {
    method: 'POST',
    path: '/responses',
    body: { ...body, background: true, callback_url: callbackUrl },
  });
  context.setMetadata({ resumeUrl: callbackUrl });
  await context.putExecutionToWait(new Date(Date.now() + timeoutMs));
  const item = context.getInputData()[itemIndex];
  return [{ ...item, json: { ...item?.json, response_id: started.id }, pairedItem: { item: itemIndex } }];
}

export const create: Operation = {
  description: [
    {
      displayName: 'Model',
      name: 'model',
      type: 'resourceLocator',
      default: { mode: 'list', value: '' },
      required: true,
      description:
        'The model that writes the code. The built-in model python needs no key: it runs the prompt as code.',
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
            'The execution takes no worker while it waits; for long runs of one item. The server must be able to reach n8n. Files come out as IDs.',
        },
        {
          name: 'Wait (One Connection)',
          value: 'connection',
          description: 'For short runs: proxies may cut a connection that is silent for minutes',
        },
        {
          name: 'Wait (Polling)',
          value: 'poll',
          description: 'Runs in the background on the server; the node asks until it is done',
        },
      ],
      displayOptions: show,
    },
    ...fileOutputFields(showFor('response', 'create', 'get', 'wait')),
    simplifyField(showFor('response', 'create', 'get', 'wait')),
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
          description: 'Makes the model answer with JSON of this schema; it comes out parsed as output_json',
        },
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
          description: 'Notes that the server keeps with the response; up to 16',
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
          description: 'A response that is continued: the model remembers it, and works in its container',
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
  ],
  execute,
};
