/** One Run Code step: send the program, read back its result, and tell files of the user from our own. */
import { randomBytes } from 'crypto';
import type { IDataObject } from 'n8n-workflow';
import { baseName } from './mime';
import { MAX_INLINE, programOf, RESULT_DIR, resultPath, type Returns } from './python';
import { apiDownload, apiRequest } from './transport';
import type { ExecutionObject, ExecutionOutput, ProducedFile, RunContext } from './types';

/** Seconds that the answer may take beyond the time limit of the code: start of a sandbox, upload of files. */
const MARGIN_MS = 120_000;

export interface Step {
  containerId: string;
  code: string;
  returns: Returns;
  timeoutMs?: number;
  variables: Record<string, unknown>;
  /** Called when the variables are too long for the program; answers with the path in the container. */
  upload?: (content: Buffer, fileName: string) => Promise<string>;
}

export interface StepResult {
  execution: ExecutionObject;
  /** What the code returned; absent if it returned nothing. */
  returned?: { from: 'result' | 'expression'; value: unknown };
  files: ProducedFile[];
}

export async function runStep(context: RunContext, step: Step): Promise<StepResult> {
  const token = randomBytes(12).toString('hex');
  const json = JSON.stringify(step.variables);
  const variablesPath =
    json.length > MAX_INLINE && step.upload
      ? await step.upload(Buffer.from(json, 'utf8'), `items-${token}.json`)
      : undefined;
  const program = { code: step.code, token, returns: step.returns, variables: step.variables };
  const execution = await apiRequest<ExecutionObject>(context, {
    method: 'POST',
    path: `/containers/${encodeURIComponent(step.containerId)}/executions`,
    body: {
      code: programOf(variablesPath === undefined ? program : { ...program, variablesPath }),
      ...(step.timeoutMs === undefined ? {} : { timeout_ms: step.timeoutMs }),
    },
    timeout: (step.timeoutMs ?? 3_600_000) + MARGIN_MS,
  });
  const returned = await readResult(context, execution, resultPath(token));
  return { execution, files: producedFiles(execution), ...(returned ? { returned } : {}) };
}

async function readResult(
  context: RunContext,
  execution: ExecutionObject,
  path: string,
): Promise<StepResult['returned']> {
  const file = execution.files.find((each) => each.path === path && each.change !== 'deleted');
  if (file === undefined) return undefined;
  const address = `/containers/${encodeURIComponent(execution.container_id)}/files/${encodeURIComponent(file.id)}`;
  const { body } = await apiDownload(context, `${address}/content`);
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk as Uint8Array);
  await apiRequest(context, { method: 'DELETE', path: address });
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as StepResult['returned'];
}

/** Figures in the order they were shown, then the files that the code wrote. */
export function producedFiles(execution: ExecutionObject): ProducedFile[] {
  const images = execution.outputs.filter((each) => each.type === 'image');
  const figures = images.map((image, index) => ({
    id: image.file_id,
    containerId: execution.container_id,
    fileName: `figure-${index + 1}.${image.mime_type === 'image/jpeg' ? 'jpg' : 'png'}`,
    bytes: image.bytes,
  }));
  const shown = new Set(figures.map(({ id }) => id));
  const written = execution.files
    .filter(
      ({ id, path, change }) => change !== 'deleted' && !path.startsWith(`${RESULT_DIR}/`) && !shown.has(id),
    )
    .filter(({ path }) => !/^items-[0-9a-f]{24}\.json$/.test(baseName(path)))
    .map(({ id, path, bytes }) => ({
      id,
      containerId: execution.container_id,
      fileName: baseName(path),
      bytes,
    }));
  return [...figures, ...written];
}

const textOf = (outputs: readonly ExecutionOutput[], type: 'stdout' | 'stderr' | 'display'): string =>
  outputs.flatMap((each) => (each.type === type && 'text' in each ? [each.text] : [])).join('');

/** Interrupted code raises an exception as well; what ended it says more. */
const statusOf = ({ status, error }: ExecutionObject): string =>
  status === 'completed' && error !== null ? 'code_error' : status;

/** The step as one JSON object, for people and for agents. */
export function describeStep({ execution, returned }: StepResult): IDataObject {
  const { outputs, error } = execution;
  const shown = outputs.flatMap((each) => (each.type === 'result' ? [each.text] : []));
  const notices = outputs.flatMap((each) => (each.type === 'notice' ? [each.message] : []));
  const displayed = textOf(outputs, 'display');
  return {
    status: statusOf(execution),
    stdout: textOf(outputs, 'stdout'),
    stderr: textOf(outputs, 'stderr'),
    ...(displayed === '' ? {} : { displayed }),
    result: (returned?.value ?? shown.at(-1) ?? null) as IDataObject,
    error: error && { name: error.name, message: error.value, traceback: error.traceback },
    ...(notices.length === 0 ? {} : { notices }),
    ...(execution.state_lost ? { state_lost: true } : {}),
    container_id: execution.container_id,
    execution_id: execution.id,
    duration_ms: execution.duration_ms,
  };
}

/** Whether the code came to its end without an exception. */
export const succeeded = ({ execution }: StepResult): boolean =>
  execution.status === 'completed' && execution.error === null;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** An item as n8n's own code nodes write it, `{json: {…}}`, or its JSON directly. */
const rowOf = (value: unknown): IDataObject => {
  if (!isObject(value)) return { value: value as IDataObject };
  const keys = Object.keys(value);
  const isWrapped =
    isObject(value.json) && keys.every((key) => ['json', 'binary', 'pairedItem'].includes(key));
  return (isWrapped ? value.json : value) as IDataObject;
};

/** Returned value → JSON of items: a list is one item an entry, everything else is one item. */
export const rowsOf = (value: unknown): IDataObject[] =>
  Array.isArray(value) ? value.map(rowOf) : [rowOf(value)];
