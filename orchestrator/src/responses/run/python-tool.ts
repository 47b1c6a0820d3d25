/** Runs one call of the python tool and tells it as events (docs/contract/streaming.md). */
import {
  type ExecutionOutput,
  type ExecutionService,
  type RunEvent,
  toCallOutputs,
} from '../../containers/execution.service.js';
import { visible } from '../../common/text.js';
import type { ContainerFileRow } from '../../containers/container-files.service.js';
import type { LlmFile, LlmMessage, LlmPart } from '../../llm/llm.js';
import type { ResponseContainer } from '../container/response-container.js';
import { shortenLog } from '../context/messages.js';
import type { CodeInterpreterCallItem, DraftEvent } from '../response.types.js';
import type { PythonCall } from './turn.js';

export type ToolMessage = Extract<LlmMessage, { role: 'tool' }>;

export interface PythonToolOptions {
  readonly executions: ExecutionService;
  readonly context: ResponseContainer;
  readonly responseId: string;
  readonly signal: AbortSignal;
  /** Data URL of a shown figure for models that can see; null sends a line of text. */
  readonly imageUrl: ((file: ContainerFileRow) => Promise<string | null>) | null;
}

type Finished = Extract<RunEvent, { type: 'finished' }>;

/** What a call ends as: an exception in Python is data; only what we could not run is `failed`. */
function statusOf(end: Finished): CodeInterpreterCallItem['status'] {
  switch (end.execution.status) {
    case 'failed':
      return 'failed';
    case 'interrupted':
      return 'incomplete';
    default:
      return 'completed';
  }
}

async function resultParts(end: Finished, options: PythonToolOptions): Promise<LlmPart[]> {
  const outputs = end.execution.outputs as unknown as ExecutionOutput[];
  const parts: LlmPart[] = [];
  for (const output of toCallOutputs(outputs)) {
    if (output.type === 'logs') {
      parts.push({ type: 'text', text: shortenLog(output.logs) });
      continue;
    }
    const image = end.images.find((row) => row.id === output.file_id);
    const url = image && options.imageUrl ? await options.imageUrl(image) : null;
    if (url !== null) parts.push({ type: 'image', url });
    parts.push({
      type: 'text',
      text: image ? `[A figure was shown and saved as ${visible(image.path)}.]` : '[A figure was shown.]',
    });
  }
  return parts;
}

const filesOf = (end: Finished): LlmFile[] => [
  ...end.files
    .filter(({ change }) => change !== 'deleted')
    .map(({ row }) => ({ path: row.path, bytes: Number(row.bytes) })),
  ...end.images.map((row) => ({ path: row.path, bytes: Number(row.bytes) })),
];

export async function* runPythonCall(
  call: PythonCall,
  options: PythonToolOptions,
): AsyncGenerator<DraftEvent, ToolMessage> {
  const container = await options.context.row();
  yield { type: 'response.code_interpreter_call.interpreting', item_id: call.itemId };
  const end = await options.executions.runToEnd(container, call.code, {
    responseId: options.responseId,
    signal: options.signal,
  });
  options.context.note(end.files, end.images);
  const loss = options.context.takeLoss();
  const status = statusOf(end);
  if (status === 'completed')
    yield { type: 'response.code_interpreter_call.completed', item_id: call.itemId };
  const item: CodeInterpreterCallItem = {
    id: call.itemId,
    type: 'code_interpreter_call',
    status,
    code: call.code,
    container_id: container.id,
    outputs: toCallOutputs(end.execution.outputs as unknown as ExecutionOutput[]),
  };
  yield { type: 'response.output_item.done', item };
  const parts = await resultParts(end, options);
  if (loss !== null) parts.unshift({ type: 'text', text: loss });
  return { role: 'tool', callId: call.callId, parts, files: filesOf(end) };
}
