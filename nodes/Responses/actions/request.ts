/** The parameters of Create → the body of the request. */
import { NodeOperationError } from 'n8n-workflow';
import type { IDataObject, IExecuteFunctions } from 'n8n-workflow';
import { addToContainer, attachInputFiles } from '../../shared/binary';
import { INCLUDE_OUTPUTS } from '../../shared/poll';
import { type ContainerChoice, containerChoice } from '../../shared/session';
import { pathId } from '../../shared/transport';

export interface CreateOptions extends IDataObject {
  conversation?: string;
  instructions?: string;
  jsonSchema?: string | IDataObject;
  keepContainer?: boolean;
  linkHours?: number;
  maxOutputTokens?: number;
  maxToolCalls?: number;
  memory?: string;
  onCodeError?: 'continue' | 'stop';
  metadata?: { entry?: { key: string; value: string }[] };
  pollInterval?: number;
  previousResponseId?: string;
  reasoningEffort?: string;
  requireCode?: boolean;
  temperature?: number;
  timeout?: number;
}

/** Whether the server makes a container for this answer alone, which nobody wants to keep. */
export const isContainerOurs = (mode: string, options: CreateOptions): boolean =>
  mode === 'new' && !options.keepContainer && !options.previousResponseId && !options.conversation;

async function containerOf(
  context: IExecuteFunctions,
  itemIndex: number,
  choice: ContainerChoice,
  memory: string | undefined,
): Promise<string | IDataObject> {
  const fileIds = await attachInputFiles(
    context,
    itemIndex,
    context.getNodeParameter('inputFiles', itemIndex, ''),
  );
  if (choice.mode === 'id') {
    for (const id of fileIds) await addToContainer(context, choice.id, id);
    return choice.id;
  }
  return {
    type: 'auto',
    ...(fileIds.length > 0 ? { file_ids: fileIds } : {}),
    ...(memory ? { memory_limit: memory } : {}),
    ...(choice.mode === 'session' ? { session_key: choice.key } : {}),
  };
}

function formatOf(context: IExecuteFunctions, schema: unknown, itemIndex: number): IDataObject | undefined {
  if (schema === undefined || schema === '') return undefined;
  let parsed: unknown = schema;
  if (typeof schema === 'string') {
    try {
      parsed = JSON.parse(schema);
    } catch {
      parsed = undefined;
    }
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new NodeOperationError(
      context.getNode(),
      `'JSON Schema of Output' is not a JSON object [item ${itemIndex}]`,
      {
        description:
          'Enter a JSON Schema, e.g. {"type": "object", "properties": {"total": {"type": "number"}}}.',
        itemIndex,
      },
    );
  }
  return { type: 'json_schema', name: 'output', schema: parsed as IDataObject };
}

export interface CreateRequest {
  body: IDataObject;
  choice: ContainerChoice;
}

export async function createRequest(context: IExecuteFunctions, itemIndex: number): Promise<CreateRequest> {
  const node = context.getNode();
  const model = context.getNodeParameter('model', itemIndex, '', { extractValue: true });
  // Only looks whether there is something; a model's ID is part of the body, not of a path.
  pathId(node, 'Model', model, itemIndex);
  const options = context.getNodeParameter('options', itemIndex, {}) as CreateOptions;
  const prompt = context.getNodeParameter('prompt', itemIndex) as string;
  if (prompt.trim() === '') {
    throw new NodeOperationError(node, `'Prompt' is empty [item ${itemIndex}]`, {
      description: 'Say what to do with the files, or use an expression that yields it.',
      itemIndex,
    });
  }
  const choice = containerChoice(context, itemIndex);
  const format = formatOf(context, options.jsonSchema, itemIndex);
  const metadata = Object.fromEntries((options.metadata?.entry ?? []).map(({ key, value }) => [key, value]));
  const container = await containerOf(context, itemIndex, choice, options.memory);
  const optional: [string, unknown][] = [
    ['instructions', options.instructions],
    ['previous_response_id', options.previousResponseId],
    ['conversation', options.conversation],
    ['max_output_tokens', options.maxOutputTokens],
    ['max_tool_calls', options.maxToolCalls],
    ['temperature', options.temperature],
    ['reasoning', options.reasoningEffort && { effort: options.reasoningEffort }],
    ['text', format && { format }],
    ['metadata', Object.keys(metadata).length > 0 ? metadata : undefined],
    ['tool_choice', options.requireCode === true ? 'required' : undefined],
  ];
  return {
    choice,
    body: {
      model: String(model).trim(),
      input: prompt,
      tools: [{ type: 'code_interpreter', container }],
      include: INCLUDE_OUTPUTS,
      ...Object.fromEntries(optional.filter(([, value]) => value !== undefined && value !== '')),
    } as IDataObject,
  };
}
