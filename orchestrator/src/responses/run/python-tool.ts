/** Runs one call of the python tool and tells it as events (docs/contract/streaming.md). */
import type { ExecutionService, FinishedRun } from '../../containers/execution.service.js';
import { visible } from '../../common/text.js';
import type { ContainerFileRow } from '../../containers/container-files.service.js';
import type { LlmFile, LlmMessage, LlmPart } from '../../llm/llm.js';
import type { ResponseContainer } from '../container/response-container.js';
import { shortenLog } from '../context/messages.js';
import type { CodeInterpreterCallItem, DraftEvent, StoredCallOutput } from '../response.types.js';
import { toCallOutputs } from './call-outputs.js';
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

/** What a call ends as: an exception in Python is data; only what we could not run is `failed`. */
function statusOf(end: FinishedRun): CodeInterpreterCallItem['status'] {
  switch (end.execution.status) {
    case 'failed':
      return 'failed';
    case 'interrupted':
      return 'incomplete';
    default:
      return 'completed';
  }
}

async function resultParts(
  end: FinishedRun,
  outputs: readonly StoredCallOutput[],
  options: PythonToolOptions,
): Promise<LlmPart[]> {
  const parts: LlmPart[] = [];
  for (const output of outputs) {
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

const filesOf = (end: FinishedRun): LlmFile[] => [
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
  const outputs = toCallOutputs(end.execution.outputs);
  const item: CodeInterpreterCallItem = {
    id: call.itemId,
    type: 'code_interpreter_call',
    status,
    code: call.code,
    container_id: container.id,
    outputs,
  };
  yield { type: 'response.output_item.done', item };
  const parts = await resultParts(end, outputs, options);
  if (loss !== null) parts.unshift({ type: 'text', text: loss });
  return { role: 'tool', callId: call.callId, parts, files: filesOf(end) };
}
