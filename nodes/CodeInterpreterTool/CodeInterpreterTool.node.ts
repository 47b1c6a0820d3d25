import { NodeConnectionTypes } from 'n8n-workflow';
import type {
  IExecuteFunctions,
  INodeExecutionData,
  INodeType,
  INodeTypeDescription,
  ISupplyDataFunctions,
  SupplyData,
} from 'n8n-workflow';
import { codeInterpreterApiTest } from '../shared/credentialTest';
import { idleOption, linkOption, memoryOption, sessionFields } from '../shared/descriptions';
import { errorItem, toItemError } from '../shared/errors';
import { downloadFiles } from '../shared/output';
import { runForAgent, TOOL_DESCRIPTION, TOOL_NAME, TOOL_SCHEMA, type ToolOptions } from './tool';

export class CodeInterpreterTool implements INodeType {
  description: INodeTypeDescription = {
    displayName: 'Code Interpreter Tool',
    name: 'codeInterpreterTool',
    icon: { light: 'file:../icons/codeInterpreter.svg', dark: 'file:../icons/codeInterpreter.dark.svg' },
    group: ['transform'],
    version: 1,
    subtitle: '={{ "session: " + $parameter["session"] }}',
    description: 'Lets an AI Agent run Python in a sandboxed container that lives as long as the chat',
    defaults: { name: 'Code Interpreter Tool' },
    inputs: [],
    outputs: [NodeConnectionTypes.AiTool],
    outputNames: ['Tool'],
    credentials: [{ name: 'codeInterpreterApi', required: true, testedBy: 'codeInterpreterApiTest' }],
    properties: [
      {
        displayName:
          'The agent reads text. For every chart and file it gets a link that it can show in the chat; the files themselves are in the output of this tool.',
        name: 'notice',
        type: 'notice',
        default: '',
      },
      ...sessionFields({}, 'chat'),
      {
        displayName: 'Options',
        name: 'options',
        type: 'collection',
        placeholder: 'Add option',
        default: {},
        options: [
          {
            displayName: 'Description',
            name: 'description',
            type: 'string',
            typeOptions: { rows: 4 },
            default: '',
            description:
              'What the agent reads about this tool. Leave it empty to use a text that fits most agents.',
          },
          {
            displayName: 'Download Files',
            name: 'downloadFiles',
            type: 'options',
            default: 'all',
            description:
              'Which of the charts and files become binary data of the output of this tool. AI Agent nodes before version 3 pass on text only.',
            options: [
              { name: 'All', value: 'all', description: 'Every file and every chart' },
              { name: 'Images Only', value: 'images', description: 'Only charts and pictures' },
              { name: 'None', value: 'none', description: 'Only the names and links' },
            ],
          },
          idleOption,
          {
            ...linkOption,
            typeOptions: { minValue: 0, maxValue: 720 },
            description:
              'How long the links to charts and files work, 0 for no links. They open without a key: anyone who has the address can open the file.',
          },
          memoryOption,
          {
            displayName: 'Timeout (Seconds)',
            name: 'timeout',
            type: 'number',
            default: 120,
            typeOptions: { minValue: 1, maxValue: 3600 },
            description: 'How long a piece of code may run before it is interrupted',
          },
        ],
      },
    ],
  };

  methods = { credentialTest: { codeInterpreterApiTest } };

  async supplyData(this: ISupplyDataFunctions, itemIndex: number): Promise<SupplyData> {
    const { description } = this.getNodeParameter('options', itemIndex, {}) as { description?: string };
    return {
      response: {
        name: TOOL_NAME,
        description: description || TOOL_DESCRIPTION,
        schema: TOOL_SCHEMA,
        invoke: async (input: unknown) => JSON.stringify((await runForAgent(this, itemIndex, input)).json),
      },
    };
  }

  /** Agents since version 3 run their tools as steps of the workflow: the code comes with the item. */
  async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
    const items = this.getInputData();
    const output: INodeExecutionData[] = [];
    for (let index = 0; index < items.length; index++) {
      try {
        const { json, files } = await runForAgent(this, index, items[index]?.json);
        const { binary } = await downloadFiles(this, files, {
          download: (this.getNodeParameter('options', index, {}) as ToolOptions).downloadFiles ?? 'all',
          pattern: '*',
          prefix: 'data',
          split: false,
        });
        output.push({
          json,
          pairedItem: { item: index },
          ...(Object.keys(binary).length > 0 ? { binary } : {}),
        });
      } catch (error) {
        if (!this.continueOnFail()) throw toItemError(this.getNode(), error, index);
        output.push(errorItem(this.getNode(), error, { item: index }));
      }
    }
    return [output];
  }
}
