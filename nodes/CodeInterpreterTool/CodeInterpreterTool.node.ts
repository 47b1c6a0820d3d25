import { NodeConnectionTypes } from 'n8n-workflow';
import type {
  IDataObject,
  IExecuteFunctions,
  INodeExecutionData,
  INodeType,
  INodeTypeDescription,
  ISupplyDataFunctions,
  SupplyData,
} from 'n8n-workflow';
import { codeInterpreterApiTest } from '../shared/credentialTest';
import { idleOption, memoryOption, sessionFields } from '../shared/descriptions';
import { errorItem, toItemError } from '../shared/errors';
import { runForAgent, TOOL_DESCRIPTION, TOOL_NAME, TOOL_SCHEMA } from './tool';

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
          'The agent reads text only. Charts and files stay in the container; get them after the agent with the Code Interpreter Containers node and the same session.',
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
            description: 'What the agent reads about this tool; empty for a text that fits most agents',
          },
          idleOption,
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
        invoke: async (input: unknown) => JSON.stringify(await runForAgent(this, itemIndex, input)),
      },
    };
  }

  /** Agents since version 3 run their tools as steps of the workflow: the code comes with the item. */
  async execute(this: IExecuteFunctions): Promise<INodeExecutionData[][]> {
    const items = this.getInputData();
    const output: INodeExecutionData[] = [];
    for (let index = 0; index < items.length; index++) {
      try {
        const json: IDataObject = await runForAgent(this, index, items[index]?.json);
        output.push({ json, pairedItem: { item: index } });
      } catch (error) {
        if (!this.continueOnFail()) throw toItemError(this.getNode(), error, index);
        output.push(errorItem(this.getNode(), error, { item: index }));
      }
    }
    return [output];
  }
}
